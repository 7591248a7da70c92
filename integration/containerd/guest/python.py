"""subprocess, threads, multiprocessing, sockets, files: results that depend on nothing but the program."""
import hashlib, mmap, multiprocessing, os, queue, select, signal, socket, subprocess, sys, tempfile, threading, time


def square(x):
    return x * x


def main():
    print(subprocess.run(['sh', '-c', 'echo out; echo err >&2; exit 4'], capture_output=True, text=True))
    pipeline = subprocess.Popen('seq 1000 | tail -n 1', shell=True, stdout=subprocess.PIPE)
    print(pipeline.communicate()[0], pipeline.returncode)
    try:
        subprocess.run(['sleep', '10'], timeout=0.1)
    except subprocess.TimeoutExpired as e:
        print('timeout', e.cmd)

    lock, total = threading.Lock(), [0]
    def add():
        for _ in range(1000):
            with lock:
                total[0] += 1
    threads = [threading.Thread(target=add) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    print('threads', total[0])

    q = queue.Queue()
    worker = threading.Thread(target=lambda: q.put(sum(range(10000))))
    worker.start()
    print('queue', q.get(timeout=5))

    with multiprocessing.Pool(3) as pool:
        print('pool', pool.map(square, range(10)))
    shared = multiprocessing.Value('i', 0)
    def bump():
        with shared.get_lock():
            shared.value += 1
    children = [multiprocessing.Process(target=bump) for _ in range(4)]
    [c.start() for c in children]
    [c.join() for c in children]
    print('shared', shared.value, [c.exitcode for c in children])

    a, b = socket.socketpair()
    child = os.fork()
    if child == 0:
        a.sendall(b'x' * 100000)
        os._exit(0)
    a.close()
    received = 0
    while chunk := b.recv(65536):
        received += len(chunk)
    print('socketpair', received, os.waitpid(child, 0)[1])

    signal.signal(signal.SIGALRM, lambda *_: print('alarm'))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    signal.pause()

    with tempfile.NamedTemporaryFile() as f:
        f.write(b'0123456789' * 1000)
        f.flush()
        with mmap.mmap(f.fileno(), 0) as m:
            m[5:10] = b'hello'
            print('mmap', m[0:12], hashlib.sha256(m).hexdigest()[:16])
        print('size', os.stat(f.name).st_size)
    print('poll', select.select([], [sys.stdout], [], 1)[1] == [sys.stdout])
    print('time', time.monotonic() < time.monotonic() + 1)


if __name__ == '__main__':
    main()
