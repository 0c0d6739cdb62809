// A zaptools client with callbacks, on the WebSocket that a page has.

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

// JSON.stringify would write null for a number that JSON does not have.
function refuseNonFinite(key, value) {
  if (typeof value !== 'number' || Number.isFinite(value)) return value;
  throw new Error(`${value} has no JSON form`);
}

function decode(data) {
  if (typeof data !== 'string') throw new Error('a binary message is no event');
  const message = JSON.parse(data);
  if (!isObject(message)) throw new Error('a message is not a JSON object');
  const { eventName: name, payload = null, headers } = message;
  if (typeof name !== 'string') throw new Error('eventName is not a string');
  if (headers != null && !isObject(headers)) throw new Error('headers is not an object');
  return { name, payload, headers: headers ?? {} };
}

// Callbacks: state(name), connected(), disconnected(code, reason), error(error, event name if any),
// event(event, 'named' or 'all'). The same client connects again once it is offline.
class Client {
  #socket = null;
  #closed = Promise.resolve();
  names = new Set();
  all = false;

  constructor(url, protocols, callbacks) {
    Object.assign(this, { url, protocols: protocols ?? [], callbacks });
  }

  get connected() { return this.#socket !== null; }

  async connect() {
    if (this.#socket?.readyState === WebSocket.CLOSING) {
      await this.#closed; // the end of a connection is told before the next one begins
    }
    if (this.#socket) throw new Error('the client is connected already');
    const { callbacks } = this;
    callbacks.state('connecting');
    return new Promise((resolve, reject) => {
      const refused = (error) => {
        callbacks.state('error');
        reject(error);
      };
      let socket;
      try {
        socket = new WebSocket(this.url, this.protocols);
      } catch (error) {
        return refused(error); // an address or a protocol that cannot be
      }
      let open = false;
      let closed;
      this.#socket = socket;
      this.#closed = new Promise((done) => { closed = done; });
      socket.binaryType = 'arraybuffer';
      socket.onmessage = ({ data }) => this.#receive(data);
      socket.onopen = () => {
        open = true;
        callbacks.state('online');
        resolve(callbacks.connected());
      };
      // A page is not told why: a script could explore a network with that.
      socket.onerror = () => open && callbacks.error(new Error('the connection failed'));
      socket.onclose = ({ code, reason }) => {
        this.#socket = null;
        closed();
        if (!open) return refused(new Error(`no connection (${code})`));
        callbacks.state('offline');
        callbacks.disconnected(code, reason);
      };
    });
  }

  send(eventName, payload, headers = {}) {
    const text = JSON.stringify({ eventName, payload, headers }, refuseNonFinite);
    // A WebSocket that is closing, or has closed, drops what it is to send and says nothing.
    if (this.#socket?.readyState !== WebSocket.OPEN) throw new Error('the client is not connected');
    this.#socket.send(text);
  }

  async close(code, reason) {
    this.#socket?.close(code, reason);
    await this.#closed;
  }

  #receive(data) {
    let event;
    try {
      event = decode(data);
      if (this.names.has(event.name)) this.callbacks.event(event, 'named');
      if (this.all) this.callbacks.event(event, 'all');
    } catch (error) {
      this.callbacks.error(error, event?.name);
    }
  }
}
