package org.innlite.demo;

/** Where the lines, marks and labels of a chart of latency against size lie, in pixels. */
final class Chart {
    /** Bars longer than this times the highest point are cut, so that an outlier does not flatten the line. */
    private static final double LONGEST_BAR = 1.5;
    private static final int TICKS = 4;

    final double left;
    final double right;
    final double top;
    final double bottom;
    /** Values at the grid lines, from 0 on. */
    final double[] ticks;
    /** One for each point. */
    final double[] x;
    final double[] y;
    final double[] barTop;
    /** The x of the size in use. */
    final double marker;

    /**
     * @param sizes in (0, 1], of the points; empty where nothing is measured yet
     * @param values milliseconds, not below 0
     * @param highs the upper ends of the points' bars
     * @param chosen the size in use
     * @param margin at the left and below, where the labels stand; half of it at the top and right
     */
    Chart(double[] sizes, double[] values, double[] highs, double chosen, double width, double height,
            double margin) {
        left = margin;
        right = Math.max(left + 1, width - margin / 2);
        top = margin / 2;
        bottom = Math.max(top + 1, height - margin);
        double most = 0;
        for (double value : values) {
            most = Math.max(most, value);
        }
        double limit = LONGEST_BAR * most;
        for (double high : highs) {
            most = Math.max(most, Math.min(high, limit));
        }
        ticks = ticks(most);
        double upper = ticks[ticks.length - 1];
        x = new double[sizes.length];
        y = new double[sizes.length];
        barTop = new double[sizes.length];
        for (int i = 0; i < sizes.length; i++) {
            x[i] = across(sizes[i]);
            y[i] = bottom - values[i] / upper * (bottom - top);
            barTop[i] = bottom - Math.min(highs[i], upper) / upper * (bottom - top);
        }
        marker = across(chosen);
    }

    double across(double size) {
        return left + size * (right - left);
    }

    double yOf(double value) {
        return bottom - value / ticks[ticks.length - 1] * (bottom - top);
    }

    /** Round numbers from 0 to at least {@code most}. */
    static double[] ticks(double most) {
        double span = most > 0 ? most : 1;
        double power = Math.pow(10, Math.floor(Math.log10(span / TICKS)));
        double step = 10 * power;
        for (int factor : new int[] {5, 2, 1}) {
            if (span / (power * factor) <= TICKS) {
                step = power * factor;
            }
        }
        int count = (int) Math.ceil(span / step - 1e-9);
        double[] result = new double[count + 1];
        for (int i = 0; i <= count; i++) {
            result[i] = i * step;
        }
        return result;
    }
}
