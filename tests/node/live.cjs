// Listens as a page does, with the unmodified client of Socket.IO. Reads commands, one JSON a line, and writes what
// happens, one JSON a line. Every line names its socket; one that answers a command has its id.
const { io } = require('socket.io-client');
const { createInterface } = require('node:readline');

const sockets = new Map();
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const commands = {
  connect({ socket: name, url, token, headers }) {
    const socket = io(url, {
      path: '/ws',
      transports: ['websocket'],
      auth: { token },
      forceNew: true,
      reconnectionDelay: 10,
      reconnectionDelayMax: 20,
      extraHeaders: headers,
    });
    sockets.set(name, socket);
    socket.on('connect', () => say({ socket: name, event: 'connect' }));
    socket.on('disconnect', (reason) => say({ socket: name, event: 'disconnect', body: reason }));
    socket.on('connect_error', (error) => say({ socket: name, event: 'connect_error', body: error.message }));
    socket.onAny((event, body) => say({ socket: name, event, body, at: Date.now() }));
  },

  send({ socket: name, id, event, body }) {
    sockets.get(name).emit(event, body, (answer) => say({ socket: name, id, answer }));
  },

  // Follows a run as `docs/live.md` says, and tells the seqs in the order in which they came.
  follow({ socket: name, run, after }) {
    const socket = sockets.get(name);
    const seqs = [];
    let last = after;
    let ended = false;
    const heard = ({ runId, seq, type }) => {
      if (runId !== run) return;
      seqs.push(seq);
      last = seq;
      if (['run.completed', 'run.failed', 'run.cancelled'].includes(type) && !ended) {
        ended = true;
        say({ socket: name, event: 'followed', body: seqs });
      }
    };
    socket.on('run:update', heard);
    socket.on('step:update', heard);
    const subscribe = () => socket.emit('subscribe', { runId: run, after: last }, (answer) => {
      if (answer.error) say({ socket: name, event: 'not_followed', body: answer });
    });
    socket.on('connect', subscribe);
    if (socket.connected) subscribe();
  },

  // The connection breaks, as a network's does. The client comes back on its own.
  cut({ socket: name }) {
    const { engine } = sockets.get(name).io;
    const { ws } = engine?.transport ?? {};
    if (ws?.terminate) ws.terminate();
    else engine?.close();
  },

  close({ socket: name }) {
    sockets.get(name).close();
  },
};

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on('close', () => process.exit(0));
