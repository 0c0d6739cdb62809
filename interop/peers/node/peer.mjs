// The peer `node`: docs/peer-contract.md over node:net, for the client of client.mjs.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Client, MESSAGE_BYTES } from './client.mjs';

class Unsupported extends Error {}
const raise = (error) => { throw error; };

const require = createRequire(import.meta.url);

// Returns a digest of the sources of a package, their names included.
function digest(name) {
  const folder = path.dirname(require.resolve(`${name}/package.json`));
  const hash = createHash('sha256');
  const files = readdirSync(folder, { recursive: true }).filter((file) => /\.[cm]?js$/.test(file));
  for (const file of files.sort()) {
    const content = readFileSync(path.join(folder, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex').slice(0, 16);
}

const description = {
  contract: 1,
  peer: 'node',
  language: 'JavaScript',
  runtime: process.versions.node,
  libraries: { ws: require('ws/package.json').version },
  sources: { ws: digest('ws') },
  apis: { server: [], client: ['Client'] },
  limits: {
    client: {
      message_bytes: MESSAGE_BYTES,
      ping_interval_s: null,
      ping_timeout_s: null,
      close_timeout_s: null,
    },
  },
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

// What one control connection can ask for: it has at most one client.
function session(write) {
  let client = null;
  let greeting = []; // what the connected callback sends
  let connectsAgain = false; // whether the disconnected callback connects, at the first end
  const opened = () => client ?? raise(new Error('there is no client'));
  const callbacks = {
    state: (state) => write({ on: 'state', state }),
    connected() {
      write({ on: 'connected' });
      for (const { event, payload, headers } of greeting) {
        client.send(event, payload, headers).catch(callbacks.error);
      }
    },
    disconnected(code, reason) {
      write({ on: 'disconnected', code, reason });
      if (!connectsAgain) return;
      connectsAgain = false;
      client.connect().catch(callbacks.error);
    },
    error: ({ message }, event) => write({ on: 'error', message, event }),
    event(event, via) {
      write({ on: 'event', ...event, via });
      if (via !== 'named') return;
      const failed = (error) => callbacks.error(error, event.name);
      if (event.name === 'slow') {
        setTimeout(() => client.send('slow', event.payload, event.headers).catch(failed), event.payload.ms);
      }
      if (event.name === 'boom') throw new Error('boom');
      if (event.name === 'close-me') client.close().catch(failed);
      const answer = answerTo(event);
      if (answer) client.send(...answer).catch(failed);
    },
  };
  const operations = {
    describe: () => description,
    open({ api, url, events = [], all = false, message_bytes: messageBytes, on_connect = [], on_disconnect, ...options }) {
      if (api !== 'Client') throw new Unsupported(`no client API ${JSON.stringify(api)}`);
      if (client) throw new Error('this session has its client');
      const limit = Object.keys(options).find((key) => key.endsWith('_s'));
      if (limit) throw new Unsupported(`this client pings nothing and awaits no handler: no ${limit}`);
      greeting = on_connect;
      connectsAgain = on_disconnect === 'connect';
      const policy = ['reconnect', 'retry', 'offline'].find((key) => key in options);
      if (policy) throw new Unsupported(`this client does not reconnect by itself: no ${policy}`);
      client = new Client(url, { ...options, messageBytes }, callbacks);
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
  const teardown = () => {
    connectsAgain = false;
    client?.terminate();
  };
  return { operations, write, teardown };
}

// Returns the request in a line; null where it is none.
function parse(line) {
  try {
    const request = JSON.parse(line);
    if (Number.isInteger(request.id) && typeof request.op === 'string') return request;
  } catch {} // it cannot be answered either
  console.error(`a control line that is no request: ${line.slice(0, 120)}`);
  return null;
}

async function answer({ operations, write }, { id, op, ...args }) {
  try {
    if (!Object.hasOwn(operations, op)) throw new Unsupported(`no operation '${op}'`);
    write({ id, ok: (await operations[op](args)) ?? {} });
  } catch (error) {
    const { code, name, message } = error;
    if (error instanceof Unsupported) write({ id, unsupported: message });
    else write({ id, error: { kind: code ?? name, message } });
  }
}

// JSON.stringify writes null for numbers that JSON does not have; the contract wants their text.
const encodable = (key, value) =>
  value === Infinity || value === -Infinity ? { $unencodable: String(value) } : value;

const sessions = new Set();
function control(socket) {
  const mine = session((message) => {
    if (!socket.writable) return;
    socket.cork(); // a thousand events at once are not a thousand packets
    socket.write(JSON.stringify(message, encodable) + '\n');
    process.nextTick(() => socket.uncork());
  });
  let parts = [];
  sessions.add(mine);
  socket.setNoDelay();
  socket.on('data', (data) => {
    for (let end; (end = data.indexOf('\n')) >= 0; data = data.subarray(end + 1)) {
      const request = parse(Buffer.concat([...parts, data.subarray(0, end)]).toString('utf8'));
      parts = [];
      if (request !== null) answer(mine, request);
    }
    parts.push(data);
  });
  socket.on('error', (error) => console.error(`control connection: ${error.message}`));
  socket.on('close', () => sessions.delete(mine) && mine.teardown());
}

process.on('uncaughtException', (error) => {
  console.error(error);
  for (const { write } of sessions) write({ on: 'uncaught', message: String(error) });
});

const options = { listen: { type: 'string' }, 'exit-with-stdin': { type: 'boolean' } };
const { values } = parseArgs({ options });
const [, host, port] = /^(.+):(\d+)$/.exec(values.listen) ?? raise(new Error('--listen HOST:PORT'));
if (values['exit-with-stdin']) process.stdin.on('end', () => process.exit()).resume();
const server = net.createServer(control).listen(Number(port), host, () => {
  console.log('READY', server.address().address, server.address().port);
});
