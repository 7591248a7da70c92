"""COUNT connections that say one word and stay. Waits for a line on standard input before it goes on to use them again."""
import random, sys
from client import COUNT, connect, echoes

held = [connect() for _ in range(COUNT)]
print("greeted", sum(echoes(one, "hello") for one in held), flush=True)
sys.stdin.readline()
with connect() as late:
    print("a new one", echoes(late, "late"))
print("old ones", sum(echoes(one, "again") for one in random.Random(1).sample(held, 200)))
