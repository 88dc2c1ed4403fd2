package org.innlite.demo;

import java.util.Locale;

/** Numbers as the screen shows them. */
final class Format {
    private static final String[] UNITS = {"", " k", " M", " G"};

    private Format() {}

    static String milliseconds(double value) {
        return String.format(Locale.ROOT, value < 10 ? "%.2f ms" : value < 100 ? "%.1f ms" : "%.0f ms", value);
    }

    static String megabytes(double bytes) {
        return String.format(Locale.ROOT, "%.2f MB", bytes / 1e6);
    }

    static String percent(double share) {
        return String.format(Locale.ROOT, "%.1f %%", 100 * share);
    }

    /** Three digits and a unit. */
    static String count(double value) {
        int unit = 0;
        while (value >= 1000 && unit < UNITS.length - 1) {
            value /= 1000;
            unit++;
        }
        String form = unit == 0 ? "%.0f%s" : value < 10 ? "%.2f%s" : value < 100 ? "%.1f%s" : "%.0f%s";
        return String.format(Locale.ROOT, form, value, UNITS[unit]);
    }

    static String size(double size) {
        String text = String.format(Locale.ROOT, "%.4f", size);
        int end = text.length();
        while (text.charAt(end - 1) == '0') {
            end--;
        }
        return text.substring(0, text.charAt(end - 1) == '.' ? end - 1 : end);
    }

    /** What a size keeps, by the name of the metric. */
    static String quality(String metric, double value) {
        return metric.equals("psnr") ? String.format(Locale.ROOT, "%.1f dB", value) : percent(value);
    }
}
