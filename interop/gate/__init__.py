"""Says whether a server may be deployed while older clients are in use: `python -m interop gate`.

Three kinds of evidence, each for every version: what it was recorded to write is played to the
server (`play`); what the server writes is looked up in what the version was recorded to read
(`traits`, `judgement`); and where its runtime is at hand, it is run itself (`real`). `gate` puts
them together, `answer` into words.
"""
