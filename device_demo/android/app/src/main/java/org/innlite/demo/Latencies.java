package org.innlite.demo;

import java.util.Arrays;

/** Milliseconds of the last runs at one size. */
final class Latencies {
    static final int KEPT = 100;

    private final double[] times = new double[KEPT];
    private int next;
    private int count;

    void add(double milliseconds) {
        times[next] = milliseconds;
        next = (next + 1) % KEPT;
        count = Math.min(count + 1, KEPT);
    }

    void clear() {
        next = 0;
        count = 0;
    }

    int count() {
        return count;
    }

    double p50() {
        return percentile(0.5);
    }

    double p95() {
        return percentile(0.95);
    }

    /** Interpolated between the neighbouring ranks; NaN before the first run. */
    private double percentile(double share) {
        if (count == 0) {
            return Double.NaN;
        }
        double[] sorted = Arrays.copyOf(times, count);
        Arrays.sort(sorted);
        double rank = share * (count - 1);
        int below = (int) rank;
        int above = Math.min(below + 1, count - 1);
        return sorted[below] + (rank - below) * (sorted[above] - sorted[below]);
    }
}
