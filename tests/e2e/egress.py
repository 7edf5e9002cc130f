"""egress - the way out of a closed network: a forward proxy, and TLS for our servers."""
import os
import socket
import ssl
import threading



def speak_tls(server, party, box):
    """A server of http.server speaks TLS from now on, with party's certificate."""
    path = party.write(os.path.join(box, "tls-%x.pem" % party.serial), True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, path + ".key")
    server.socket = context.wrap_socket(server.socket, server_side=True)


class Proxy:
    """Takes absolute-form and CONNECT (RFC 9112 section 3.2) and leads every name to 127.0.0.1; lines: what it was
    asked.  status: what it says instead, when it is told to."""

    def __init__(self):
        self.lines, self.status = [], None
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            try:
                while self.exchange(client):
                    pass
            except (OSError, EOFError):
                pass

    def exchange(self, client):
        """One request; whether another may follow."""
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(65536)
            if not more:
                raise EOFError
            head += more
        line, rest = head.split(b"\r\n", 1)
        self.lines.append(line.decode())
        method, target, version = line.decode().split(" ")
        if self.status:
            client.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.status)
            return False
        authority, path = target, ""
        if method != "CONNECT":
            assert target.startswith("http://"), target
            authority, path = target[7:].split("/", 1)
        with socket.create_connection(("127.0.0.1", int(authority.rsplit(":", 1)[1]))) as server:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(("%s /%s %s\r\nConnection: close\r\n" % (method, path, version)).encode() + rest)
            threading.Thread(target=self.pour, args=(client, server), daemon=True).start()
            self.pour(server, client)
        return False

    @staticmethod
    def pour(source, to):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                to.sendall(data)
            to.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def stop(self):
        self.socket.close()
