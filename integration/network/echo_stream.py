"""serve PORT: each connection's address and the sum of what came, which goes back. ask ADDRESS PORT BYTES: the sum of what came back, and whether it is ours."""
import hashlib, os, socket, sys, threading


def take(connection):
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def name(data):
    return hashlib.sha256(data).hexdigest()


if sys.argv[1] == "serve":
    with socket.create_server(("::", int(sys.argv[2])), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        print("listening", flush=True)
        while True:
            connection, peer = server.accept()
            with connection:
                data = take(connection)
                print(peer[0].removeprefix("::ffff:"), name(data), flush=True)
                connection.sendall(data)
else:
    data = os.urandom(int(sys.argv[4]))
    with socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=50) as connection:
        writer = threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR)))
        writer.start()
        back = take(connection)
        writer.join()
    print(name(back), "same" if back == data else "different")
