"""A line in, the same line out; "flood" gives 64 MiB to whoever asks for it."""
import asyncio, sys

BLOCK = b"\0" * 65536


async def serve(reader, writer):
    try:
        while line := await reader.readline():
            if line == b"flood\n":
                for _ in range(1024):
                    writer.write(BLOCK)
                    await writer.drain()
            else:
                writer.write(line)
                await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, None, int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


asyncio.run(main())
