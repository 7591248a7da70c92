"""urllib against http.server; many asyncio streams at once; datagrams."""
import asyncio, hashlib, http.client, random, sys, urllib.request

host, port = sys.argv[1], int(sys.argv[2])
name = f"[{host}]" if ":" in host else host
print("file", hashlib.sha256(urllib.request.urlopen(f"http://{name}:{port}/noise").read()).hexdigest())
connection = http.client.HTTPConnection(host, port)
for size in (0, 1, 1460, 100_000, 1_000_000):
    body = random.Random(size).randbytes(size)
    connection.request("POST", "/", body)
    print("post", size, connection.getresponse().read() == body[::-1])


async def talk(seed):
    r = random.Random(seed)
    reader, writer = await asyncio.open_connection(host, port + 1)
    sent = [r.randbytes(r.randrange(1, 50_000)) for _ in range(10)]
    for piece in sent:
        writer.write(piece)
    writer.write_eof()
    same = await reader.read() == b"".join(sent)
    writer.close()
    await writer.wait_closed()
    return same


class Collect(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = asyncio.Queue()

    def datagram_received(self, data, _sender):
        self.got.put_nowait(data)


async def main():
    print("streams", sum(await asyncio.gather(*(talk(seed) for seed in range(100)))))
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Collect, remote_addr=(host, port + 2))
    for size in (1, 1472, 1473, 20_000, 65_000):
        data = b"a" * size
        transport.sendto(data)
        print("datagram", size, await asyncio.wait_for(protocol.got.get(), 10) == data.upper())
    transport.close()


asyncio.run(main())
