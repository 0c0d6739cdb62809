// A zaptools client with callbacks, on the package `ws`.
import { WebSocket } from 'ws';

// What a client takes when it is not told otherwise: 16 MiB.
export const MESSAGE_BYTES = 1 << 24;

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

// JSON.stringify would write null for a number that JSON does not have.
function refuseNonFinite(key, value) {
  if (typeof value !== 'number' || Number.isFinite(value)) return value;
  throw new Error(`${value} has no JSON form`);
}

function decode(data, isBinary) {
  if (isBinary) throw new Error('a binary message is no event');
  const message = JSON.parse(data.toString('utf8'));
  if (!isObject(message)) throw new Error('a message is not a JSON object');
  const { eventName: name, payload = null, headers } = message;
  if (typeof name !== 'string') throw new Error('eventName is not a string');
  if (headers != null && !isObject(headers)) throw new Error('headers is not an object');
  return { name, payload, headers: headers ?? {} };
}

// Callbacks: state(name), connected(), disconnected(code, reason), error(error, event name if any),
// event(event, 'named' or 'all'). The same client connects again once it is offline.
export class Client {
  #socket = null;
  #closed = Promise.resolve();
  #online = false;
  names = new Set();
  all = false;

  constructor(url, { protocols, headers, deflate, ca, messageBytes }, callbacks) {
    this.options = {
      ca,
      headers,
      closeTimeout: 3000, // a server that never closes must not outlast the testbed's patience
      maxPendingAutoPongs: 0, // no limit: an answer to each ping is owed
      maxPayload: messageBytes ?? MESSAGE_BYTES,
      perMessageDeflate: deflate ?? false,
    };
    Object.assign(this, { url, protocols: protocols ?? [], callbacks });
  }

  async connect() {
    if (this.#online && this.#socket.readyState === WebSocket.CLOSING) {
      await this.#closed; // the end of a connection is told before the next one begins
    }
    if (this.#socket && this.#socket.readyState !== WebSocket.CLOSING) {
      throw new Error('the client is connected already');
    }
    const { callbacks } = this;
    callbacks.state('connecting');
    return new Promise((resolve, reject) => {
      let open = false;
      const fail = (error) => {
        if (open) return callbacks.error(error);
        callbacks.state('error');
        reject(error);
      };
      let socket;
      try {
        socket = new WebSocket(this.url, this.protocols, this.options);
      } catch (error) {
        return fail(error); // an address or a protocol that cannot be
      }
      this.#socket = socket;
      this.#closed = new Promise((done) => socket.once('close', done));
      socket.on('error', fail);
      socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
      socket.on('open', () => {
        open = this.#online = true;
        callbacks.state('online');
        resolve(callbacks.connected());
      });
      socket.on('close', (code, reason) => {
        if (this.#socket === socket) this.#socket = null;
        if (!open) return;
        this.#online = false;
        callbacks.state('offline');
        callbacks.disconnected(code, reason.toString('utf8'));
      });
    });
  }

  async send(eventName, payload, headers = {}) {
    const socket = this.#socket;
    if (!socket) throw new Error('the client is not connected');
    const text = JSON.stringify({ eventName, payload, headers }, refuseNonFinite);
    await new Promise((done, fail) => socket.send(text, (error) => (error ? fail(error) : done())));
  }

  async close(code, reason) {
    this.#socket?.close(code, reason);
    await this.#closed;
  }

  terminate() { this.#socket?.terminate(); }

  #receive(data, isBinary) {
    let event;
    try {
      event = decode(data, isBinary);
      if (this.names.has(event.name)) this.callbacks.event(event, 'named');
      if (this.all) this.callbacks.event(event, 'all');
    } catch (error) {
      this.callbacks.error(error, event?.name);
    }
  }
}
