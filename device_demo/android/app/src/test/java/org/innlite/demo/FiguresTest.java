package org.innlite.demo;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

/** Percentiles, rankings, the chart's geometry, numbers as text. */
public final class FiguresTest {
    private static final String[] LABELS = {"shirt", "bag"};

    @Test
    public void percentilesLieBetweenRanks() {
        Latencies latencies = new Latencies();
        assertTrue(Double.isNaN(latencies.p50()));
        for (double time : new double[] {4, 1, 3, 2}) {
            latencies.add(time);
        }
        assertEquals(2.5, latencies.p50(), 1e-12);
        assertEquals(3.85, latencies.p95(), 1e-12);
    }

    @Test
    public void onlyTheLastRunsCount() {
        Latencies latencies = new Latencies();
        for (int i = 0; i < 3 * Latencies.KEPT; i++) {
            latencies.add(i < 2 * Latencies.KEPT ? 1000 : 1);
        }
        assertEquals(Latencies.KEPT, latencies.count());
        assertEquals(1, latencies.p95(), 0);
    }

    @Test
    public void scoresAreRankedBySoftmax() throws InnException {
        Ranking ranking = new Ranking(new float[] {1, 3, 2}, LABELS, 2);
        assertArrayEquals(new String[] {"bag", "class 2"}, ranking.labels);
        double sum = Math.exp(1) + Math.exp(2) + Math.exp(3);
        assertArrayEquals(new double[] {Math.exp(3) / sum, Math.exp(2) / sum}, ranking.shares, 1e-12);
        assertEquals(1, ranking.best);
    }

    @Test
    public void sharesThatTheNetworkGivesAreKept() throws InnException {
        assertArrayEquals(new double[] {0.75, 0.25},
                new Ranking(new float[] {0.25f, 0.75f}, LABELS, 5).shares, 0);
    }

    @Test
    public void hugeScoresDoNotOverflow() throws InnException {
        assertEquals(1, new Ranking(new float[] {1e30f, -1e30f}, LABELS, 1).shares[0], 0);
    }

    @Test
    public void outputsThatAreNotFiniteAreRefused() {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            InnException error = assertThrows(InnException.class,
                    () -> new Ranking(new float[] {1, bad}, LABELS, 1));
            assertEquals("The network's output is not finite.", error.getMessage());
        }
        assertThrows(InnException.class, () -> new Ranking(new float[0], LABELS, 1));
    }

    @Test
    public void chartPointsLieWithinTheirFrame() {
        double[] sizes = {0.25, 0.5, 1};
        Chart chart = new Chart(sizes, new double[] {1, 2, 7.5}, new double[] {1, 90, 8}, 0.5, 300, 200, 30);
        assertArrayEquals(new double[] {0, 5, 10, 15}, new Chart(sizes, new double[] {1, 2, 9},
                new double[] {1, 90, 9}, 0.5, 300, 200, 30).ticks, 1e-12);
        for (int i = 0; i < sizes.length; i++) {
            assertEquals(chart.left + sizes[i] * (chart.right - chart.left), chart.x[i], 1e-9);
            assertTrue(chart.top <= chart.barTop[i] && chart.barTop[i] <= chart.y[i]);
            assertTrue(chart.y[i] < chart.bottom);
        }
        assertEquals("an outlier's bar is cut at the frame", chart.top, chart.barTop[1], 1e-9);
        assertTrue(chart.y[0] > chart.y[1] && chart.y[1] > chart.y[2]);
        assertEquals(chart.x[1], chart.marker, 1e-9);
    }

    @Test
    public void emptyAndTinyChartsHaveAFrame() {
        Chart empty = new Chart(new double[0], new double[0], new double[0], 1, 0, 0, 30);
        assertTrue(empty.right > empty.left && empty.bottom > empty.top);
        assertEquals(0, empty.x.length);
        Chart zero = new Chart(new double[] {1}, new double[] {0}, new double[] {0}, 1, 100, 100, 10);
        assertEquals(zero.bottom, zero.y[0], 1e-9);
    }

    @Test
    public void ticksAreRoundAndReachTheTop() {
        for (double most = 1e-3; most < 1e5; most *= 1.37) {
            double[] ticks = Chart.ticks(most);
            assertTrue(ticks.length >= 2 && ticks.length <= 6);
            assertTrue(ticks[ticks.length - 1] >= most * (1 - 1e-9));
            assertTrue(ticks[ticks.length - 2] < most);
        }
    }

    @Test
    public void numbersAreShort() {
        assertEquals("0.32 ms", Format.milliseconds(0.321));
        assertEquals("123 ms", Format.milliseconds(123.4));
        assertEquals("271 k", Format.count(271402));
        assertEquals("1.08 M", Format.count(1082442));
        assertEquals("17.0 M", Format.count(17047936));
        assertEquals("999", Format.count(999));
        assertEquals("0.25", Format.size(0.25));
        assertEquals("1", Format.size(1));
        assertEquals("25.1 %", Format.percent(0.2507));
        assertEquals("34.6 dB", Format.quality("psnr", 34.64));
    }
}
