// The page: a frame for each session, which is a global scope with a WebSocket of its own. It is the
// body of a function of `source`, which is client.js and session.js, and `version`, Chromium's.

const END_MS = 1000; // for a connection to end, whose session has ended

const sessions = new Map(); // by number
const free = []; // frames whose sessions have ended; a new one takes 20 ms of a processor

// JSON.stringify writes null for numbers that JSON does not have; the contract wants their text.
const encodable = (key, value) =>
  value === Infinity || value === -Infinity ? { $unencodable: String(value) } : value;

let lines = [];
function tell(number, message) {
  if (!lines.length) queueMicrotask(flush); // what one event tells is one call
  lines.push(`${number} ${JSON.stringify(message, encodable)}`);
}
function flush() {
  const text = lines.join('\n');
  lines = [];
  told(text); // the binding of peer.py
}

function makeFrame() {
  const element = document.body.appendChild(document.createElement('iframe'));
  const scope = element.contentWindow;
  const frame = { element, start: scope.Function('write', 'version', source), write: null };
  const uncaught = (message) => frame.write({ on: 'uncaught', message });
  scope.addEventListener('error', ({ message }) => uncaught(message));
  scope.addEventListener('unhandledrejection', ({ reason }) => uncaught(String(reason)));
  return frame;
}

function open(number) {
  const frame = free.pop() ?? makeFrame();
  frame.write = (message) => sessions.has(number) && tell(number, message);
  const session = { frame, ...frame.start(frame.write, version) };
  sessions.set(number, session);
  return session;
}

globalThis.receive = (number, text) => {
  (sessions.get(number) ?? open(number)).receive(JSON.parse(text));
};

// A page cannot end a connection but by a closing handshake, or with its frame.
globalThis.end = async (number) => {
  const session = sessions.get(number);
  if (!session) return;
  sessions.delete(number);
  const late = new Promise((done) => { setTimeout(done, END_MS, 'late'); });
  if ((await Promise.race([session.end(), late])) === 'late') session.frame.element.remove();
  else free.push(session.frame);
};
