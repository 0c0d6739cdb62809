# One image for each peer and one for the matrix: see docker-compose.yml; and one of the testbed alone,
# `tool`.
# Each base image is a Debian: the first with python3, its venv module and openssl, which makes the
# certificates of the scenarios tls.*; the second with a Dart SDK or a bare Dart VM, the third with
# Node.js, the fourth with Go. A private certificate authority or package index is configured in the
# base image, by files and PIP_… variables.
ARG PYTHON_IMAGE=python:3.13-slim
ARG DART_IMAGE=dart:stable
ARG NODE_IMAGE=node:22-slim
ARG GO_IMAGE=golang:1.25


FROM ${PYTHON_IMAGE} AS python-base
ENV PATH=/venv/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
# 25.1 is the first pip that installs dependency groups.
RUN python3 -m venv /venv && pip install --quiet --upgrade 'pip>=25.1'
WORKDIR /app


FROM python-base AS interop-base
COPY pyproject.toml ./
RUN pip install --quiet --group interop


FROM interop-base AS matrix
# Compose uses 14 of 80 columns for the service's name.
ENV COLUMNS=66
COPY interop interop
ENTRYPOINT ["sh", "interop/entrypoint.sh"]
CMD ["python", "-m", "interop", "run", "--engine", "compose"]


# The testbed as users install it, with the peer `python`: docs/interop-installed.md. Peers of other
# languages need toolchains that it has not.
FROM interop-base AS tool
RUN pip install --quiet --group peer
COPY README.md LICENSE ./
COPY zaptools zaptools
COPY interop interop
RUN pip install --quiet . './interop[python]' && rm -r /app/*
# Any user that it runs as can write there.
ENV HOME=/tmp XDG_CACHE_HOME=/tmp/cache
RUN install -d -m 1777 /work
WORKDIR /work
USER 1000:1000
ENTRYPOINT ["zaptools-interop"]
CMD ["--help"]


FROM python-base AS python-peer
COPY pyproject.toml README.md LICENSE ./
# The dependencies of zaptools change less often than zaptools, so they have their own layer.
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
    > /tmp/requirements.txt && pip install --quiet --requirement /tmp/requirements.txt --group peer
COPY zaptools zaptools
RUN pip install --quiet --no-deps . && rm -r zaptools
COPY interop/__init__.py interop/
COPY interop/control/__init__.py interop/control/contract.py interop/control/lines.py \
     interop/control/
COPY interop/peers/*.py interop/peers/
COPY interop/peers/python interop/peers/python
RUN install -d -m 1777 /logs
USER 1000:1000
EXPOSE 7000
# With $INTEROP_LOG a peer writes to that file instead of its container's log.
ENTRYPOINT ["sh", "-c", "[ -z \"${INTEROP_LOG-}\" ] || exec >\"$INTEROP_LOG\" 2>&1; exec \"$0\" \"$@\""]
CMD ["python", "-m", "interop.peers.python", "--listen", "0.0.0.0:7000"]


FROM python-base AS pypi-peer
COPY interop/peers/pypi/requirements.txt ./
RUN pip install --quiet --requirement requirements.txt
COPY interop/__init__.py interop/
COPY interop/control/__init__.py interop/control/contract.py interop/control/lines.py \
     interop/control/
COPY interop/peers/*.py interop/peers/
COPY interop/peers/pypi interop/peers/pypi
RUN install -d -m 1777 /logs
USER 1000:1000
EXPOSE 7000
ENTRYPOINT ["sh", "-c", "[ -z \"${INTEROP_LOG-}\" ] || exec >\"$INTEROP_LOG\" 2>&1; exec \"$0\" \"$@\""]
CMD ["python", "interop/peers/pypi/peer.py", "--listen", "0.0.0.0:7000"]


FROM ${DART_IMAGE} AS dart-peer
ARG PEER=dart-io
ENV HOME=/tmp PUB_CACHE=/app/pub-cache
WORKDIR /app/${PEER}
COPY interop/peers/dart_shared ../dart_shared
COPY interop/peers/${PEER} ./
# Without a package registry, `python -m interop dart-packages DIR` copies the packages here first. A
# peer without packages gets an empty list, so that all peers start in the same way.
RUN if grep -qs zaptools-interop .dart_tool/package_config.json; then echo "packages: copied"; \
    elif [ -f pubspec.yaml ]; then dart pub get; \
    else mkdir -p .dart_tool && echo '{"configVersion": 2, "packages": []}' > .dart_tool/package_config.json; fi
# A bare VM has no `compile`, and the `dart` of some SDKs no longer writes snapshots.
RUN if dart compile kernel --help >/dev/null 2>&1; \
    then dart compile kernel --output=peer.dill peer.dart; \
    else dart --snapshot=peer.dill --snapshot-kind=kernel peer.dart; fi
RUN install -d -m 1777 /logs
USER 1000:1000
EXPOSE 7000
ENTRYPOINT ["sh", "-c", "[ -z \"${INTEROP_LOG-}\" ] || exec >\"$INTEROP_LOG\" 2>&1; exec \"$0\" \"$@\""]
CMD ["dart", "--packages=.dart_tool/package_config.json", "peer.dill", "--listen", "0.0.0.0:7000"]


FROM ${NODE_IMAGE} AS node-peer
WORKDIR /app
COPY interop/peers/node ./
# npm runs unless the package is there already, as after a run on local processes: `ws` is plain
# JavaScript, for any platform.
RUN [ -d node_modules/ws ] || npm ci --ignore-scripts --no-audit --no-fund
RUN install -d -m 1777 /logs
USER 1000:1000
EXPOSE 7000
ENTRYPOINT ["sh", "-c", "[ -z \"${INTEROP_LOG-}\" ] || exec >\"$INTEROP_LOG\" 2>&1; exec \"$0\" \"$@\""]
CMD ["node", "peer.mjs", "--listen", "0.0.0.0:7000"]


# Debian's Chromium without its windows, the smaller of its packages: its WebSocket is the same.
FROM python-base AS browser-peer
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium-headless-shell >/dev/null \
    && rm -rf /var/lib/apt/lists/*
COPY interop/peers/browser ./
RUN install -d -m 1777 /logs
USER 1000:1000
EXPOSE 7000
ENTRYPOINT ["sh", "-c", "[ -z \"${INTEROP_LOG-}\" ] || exec >\"$INTEROP_LOG\" 2>&1; exec \"$0\" \"$@\""]
CMD ["python", "peer.py", "--listen", "0.0.0.0:7000", "--chromium", "chromium-headless-shell"]


# The last two stages, so that no other stage needs Go: see docker-compose.yml.
FROM ${GO_IMAGE} AS go-build
WORKDIR /app
COPY interop/peers/go ./
# Modules come from the proxy, unless there is a folder `vendor`, made by `go mod vendor`.
ENV CGO_ENABLED=0 GOTOOLCHAIN=local
RUN sources=$(go run . --sources) \
    && go build -trimpath -buildvcs=false -ldflags "-X 'main.sources=$sources'" -o /peer .


# The program needs nothing else. The health check needs a shell, and this base is there already.
FROM ${PYTHON_IMAGE} AS go-peer
COPY --from=go-build /peer /peer
RUN install -d -m 1777 /logs
USER 1000:1000
EXPOSE 7000
ENTRYPOINT ["sh", "-c", "[ -z \"${INTEROP_LOG-}\" ] || exec >\"$INTEROP_LOG\" 2>&1; exec \"$0\" \"$@\""]
CMD ["/peer", "--listen", "0.0.0.0:7000"]
