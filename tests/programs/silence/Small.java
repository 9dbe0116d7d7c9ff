// Java's heap, threads, direct buffers, and a process.
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

public class Small {
    private static long fill(int seed) {
        Map<String, byte[]> map = new HashMap<>();
        long sum = 0;
        for (int i = 0; i < 50000; i++) {
            map.put("key " + (i * 31 + seed) % 5000, new byte[100]);
            sum += map.size();
        }
        return sum;
    }

    private static int catchNull(String text) {
        try {
            return text.length(); // the virtual machine learns of a null by SIGSEGV
        } catch (NullPointerException e) {
            return -1;
        }
    }

    private static int exhaust(int depth) {
        try {
            return exhaust(depth + 1);
        } catch (StackOverflowError e) {
            return 1;
        }
    }

    public static void main(String[] arguments) throws Exception {
        long[] sums = new long[4];
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < sums.length; i++) {
            final int n = i;
            threads.add(new Thread(() -> sums[n] = fill(n)));
            threads.get(i).start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("sums " + sums[0] + " " + sums[3]);
        ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
        buffer.putInt(100, 42);
        System.out.println("direct " + buffer.getInt(100));
        int nulls = 0;
        for (int i = 0; i < 20000; i++) {
            nulls += catchNull(i % 2 == 0 ? null : "x");
        }
        System.out.println("nulls " + nulls + ", overflow " + exhaust(0));
        Process process = new ProcessBuilder("sh", "-c", "echo from a process; exit 3").start();
        System.out.print(new String(process.getInputStream().readAllBytes()));
        System.out.println("exit " + process.waitFor());
        System.gc();
        System.exit(5);
    }
}
