"""COUNT clients that ask for 64 MiB each and read a few bytes now and then. Waits for a line on standard input in the middle."""
import select, socket, sys
from client import COUNT, HOST, PORT, connect, echoes


def slow():
    one = socket.socket(socket.AF_INET6 if ":" in HOST else socket.AF_INET)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect((HOST, PORT))
    one.sendall(b"flood\n")
    return one


held = [slow() for _ in range(COUNT)]
for _ in range(20):
    for one in select.select(held, [], [], 0.2)[0]:
        one.recv(10)
while len(select.select(held, [], [], 1)[0]) < COUNT:
    pass
print("all are served", COUNT, flush=True)
sys.stdin.readline()
with connect() as quick:
    print("a quick one", echoes(quick, "hello"))
    quick.sendall(b"flood\n")
    left = 64 << 20
    while left > 0:
        left -= len(quick.recv(1 << 20))
    print("has it all", left)
