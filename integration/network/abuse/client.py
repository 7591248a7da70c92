"""What the abusers share."""
import socket, sys

HOST, PORT, COUNT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def connect():
    return socket.create_connection((HOST, PORT), 30)


def echoes(connection, text):
    connection.sendall(text.encode() + b"\n")
    got = b""
    while not got.endswith(b"\n"):
        piece = connection.recv(4096)
        if not piece:
            return False
        got += piece
    return got == text.encode() + b"\n"
