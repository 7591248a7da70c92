# Compile and run a program with threads, files, processes and sockets.
set -e
cd /tmp
cat >Main.java <<'END'
import java.net.*; import java.nio.file.*; import java.util.*; import java.util.concurrent.*; import java.util.stream.*;
public class Main {
  public static void main(String[] a) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(16);
    List<Future<Long>> sums = new ArrayList<>();
    for (int t = 0; t < 64; t++) { final int n = t; sums.add(pool.submit(() -> LongStream.range(0, 20000).map(i -> i * n % 7).sum())); }
    long sum = 0; for (Future<Long> f : sums) sum += f.get();
    pool.shutdown();
    System.out.println("sum " + sum + " " + pool.awaitTermination(10, TimeUnit.SECONDS));
    Path p = Files.createTempFile("x", ".txt");
    Files.write(p, Collections.nCopies(1000, "line"));
    System.out.println("lines " + Files.lines(p).count());
    Process q = new ProcessBuilder("sh", "-c", "echo child; exit 3").redirectErrorStream(true).start();
    System.out.println(new String(q.getInputStream().readAllBytes()).trim() + " " + q.waitFor());
    try (ServerSocket s = new ServerSocket(0, 5, InetAddress.getLoopbackAddress())) {
      Thread t = new Thread(() -> { try (Socket c = s.accept()) { c.getInputStream().transferTo(c.getOutputStream()); } catch (Exception e) { throw new RuntimeException(e); } });
      t.start();
      try (Socket c = new Socket(s.getInetAddress(), s.getLocalPort())) {
        c.getOutputStream().write(new byte[100000]); c.shutdownOutput();
        System.out.println("echo " + c.getInputStream().readAllBytes().length);
      }
      t.join();
    }
    int[] deep = {0}; try { recurse(deep); } catch (StackOverflowError e) { System.out.println("overflow caught " + (deep[0] > 1000)); }
    try { Object o = null; o.hashCode(); } catch (NullPointerException e) { System.out.println("null caught"); }
    byte[][] garbage = new byte[64][]; for (int i = 0; i < 20000; i++) garbage[i % 64] = new byte[10000]; System.gc();
    System.out.println("cpus " + (Runtime.getRuntime().availableProcessors() > 0));
  }
  static void recurse(int[] d) { d[0]++; recurse(d); }
}
END
javac Main.java
java -Xmx256m Main
