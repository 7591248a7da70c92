"""At PORT http.server (threads), at PORT+1 an asyncio echo over TCP, at PORT+2 one over UDP; both families each."""
import asyncio, functools, http.server, socket, sys, threading

port = int(sys.argv[1])


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *_):
        pass


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        self.transport.sendto(data.upper(), sender)


async def main():
    loop = asyncio.get_running_loop()
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", port + 2))
    await loop.create_datagram_endpoint(Datagrams, sock=udp)
    server = await asyncio.start_server(echo, None, port + 1, backlog=256)
    threading.Thread(target=Server(("::", port), functools.partial(Handler)).serve_forever, daemon=True).start()
    async with server:
        await server.serve_forever()


asyncio.run(main())
