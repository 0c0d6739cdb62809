// One control connection, in a frame of its own: docs/peer-contract.md, for the client of client.js.
// It is the body of a function of `write`, which takes replies and notifications, and `version`.
// Nothing here is global: the frame is another session's, later.

class Unsupported extends Error {}
const raise = (error) => { throw error; };

const description = {
  contract: 1,
  peer: 'browser',
  language: 'JavaScript',
  runtime: version,
  libraries: { chromium: version },
  apis: { server: [], client: ['Client'] },
  limits: {
    client: { message_bytes: null, ping_interval_s: null, ping_timeout_s: null, close_timeout_s: null },
  },
};

// Arguments of `open` that the client cannot honour.
const LACKS = {
  headers: 'a page chooses no header of the handshake',
  ca: 'a page trusts what its browser trusts',
  message_bytes: 'the WebSocket of a page has no limit for messages',
  ping_interval_s: 'a page sends no pings',
  ping_timeout_s: 'a page sends no pings',
  close_timeout_s: 'the WebSocket of a page calls its listeners, and waits for none',
  reconnect: 'this client does not reconnect by itself',
  retry: 'this client does not reconnect by itself',
  offline: 'this client does not reconnect by itself',
};

// What a client's handler of an event sends, as arguments of Client.send; undefined where nothing.
function answerTo({ name, payload, headers }) {
  const { requestId } = headers;
  if (name === 'mirror') return ['mirrored', payload, headers];
  if (name === 'ask-back') {
    return ['unsupported', { event: name, why: 'this client sends no requests' }, headers];
  }
  if (requestId === undefined) return undefined;
  if (name === 'answer') return [name, payload, { replyTo: requestId }];
  const failure = { replyTo: requestId, replyError: 'the handler failed' };
  return name === 'fail' ? [name, {}, failure] : undefined;
}

let client = null;
let greeting = []; // what the connected callback sends
let connectsAgain = false; // whether the disconnected callback connects, at the first end
const opened = () => client ?? raise(new Error('there is no client'));

// Calls what may fail, at once or later, for an event or without one.
async function attempt(action, event) {
  try {
    await action();
  } catch (error) {
    callbacks.error(error, event);
  }
}

const callbacks = {
  state: (state) => write({ on: 'state', state }),
  connected() {
    write({ on: 'connected' });
    for (const { event, payload, headers } of greeting) {
      attempt(() => client.send(event, payload, headers));
    }
  },
  disconnected(code, reason) {
    write({ on: 'disconnected', code, reason });
    if (!connectsAgain) return;
    connectsAgain = false;
    attempt(() => client.connect());
  },
  error: ({ message }, event) => write({ on: 'error', message, event }),
  event(event, via) {
    write({ on: 'event', ...event, via });
    if (via !== 'named') return;
    const { name, payload, headers } = event;
    if (name === 'slow') {
      setTimeout(() => attempt(() => client.send(name, payload, headers), name), payload.ms);
    }
    if (name === 'boom') throw new Error('boom');
    if (name === 'close-me') attempt(() => client.close(), name);
    const answer = answerTo(event);
    if (answer) attempt(() => client.send(...answer), name);
  },
};

const operations = {
  describe: () => description,
  open({ api, url, events = [], all = false, protocols, on_connect = [], on_disconnect, ...options }) {
    if (api !== 'Client') throw new Unsupported(`no client API ${JSON.stringify(api)}`);
    if (client) throw new Error('this session has its client');
    const lacked = Object.keys(options).find((key) => key in LACKS);
    if (lacked) throw new Unsupported(`${LACKS[lacked]}: no ${lacked}`);
    greeting = on_connect;
    connectsAgain = on_disconnect === 'connect';
    client = new Client(url, protocols, callbacks);
    operations.subscribe({ events, all });
    return client.connect();
  },
  send: ({ event = raise(new TypeError('send needs an event')), payload, headers }) =>
    opened().send(event, payload, headers),
  subscribe({ events = [], all = false }) {
    for (const name of events) opened().names.add(name);
    opened().all ||= all;
  },
  close: ({ code, reason }) => opened().close(code, reason),
  reconnect: () => opened().connect(),
  clean: () => raise(new Unsupported('this client has callbacks, no streams to clean')),
};

async function receive({ id, op, ...args }) {
  if (!Number.isInteger(id) || typeof op !== 'string') return; // it cannot be answered
  try {
    if (!Object.hasOwn(operations, op)) throw new Unsupported(`no operation '${op}'`);
    write({ id, ok: (await operations[op](args)) ?? {} });
  } catch (error) {
    const { name, message } = error;
    if (error instanceof Unsupported) write({ id, unsupported: message });
    else write({ id, error: { kind: name, message } });
  }
}

async function end() {
  connectsAgain = false;
  while (client?.connected) await client.close(); // it may have been about to connect again
}

return { receive, end };
