"""Sees from outside what a run does: witness.py PORT SERVER PRICE FILE

Stands before a model's server, and is the shop whose prices an agent's tool reads. Each exchange is a line of the file.
"""

import http.client
import http.server
import json
import sys
import threading
import urllib.parse


class Witness(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if not self.path.startswith("/price/"):
            return self.answer(*self.forward(None))
        item = urllib.parse.unquote(self.path.removeprefix("/price/"))
        note({"priced": item})
        self.answer(200, "text/plain", f"{item} costs {PRICE} euros".encode())

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["content-length"]))
        status, kind, answered = self.forward(asked)
        note({"asked": read(asked), "status": status, "answered": read(answered)})
        self.answer(status, kind, answered)

    def forward(self, body):
        server = http.client.HTTPConnection(SERVER, timeout=900)
        server.request(self.command, self.path, body, {"content-type": "application/json"})
        response = server.getresponse()
        return response.status, response.getheader("content-type", "application/json"), response.read()

    def answer(self, status, kind, body):
        self.send_response_only(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def read(body):
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def note(exchange):
    with LOCK, open(FILE, "a") as file:
        file.write(json.dumps(exchange) + "\n")


PORT, SERVER, PRICE, FILE = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
LOCK = threading.Lock()
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Witness).serve_forever()
