package org.innlite.demo;

import java.io.File;

/**
 * Runs the app's classes, as they lie in the APK, on Android's runtime: {@code ArtProbe BUNDLE}. A generated
 * picture goes through preprocessing, every size of the network and the ranking; figures are printed as the bits
 * of their floats, so that runs can be compared.
 */
final class ArtProbe {
    private static final int WIDTH = 40;
    private static final int HEIGHT = 50;

    private ArtProbe() {}

    public static void main(String[] arguments) {
        try {
            NativeNetwork network = new NativeNetwork(new File(arguments[0]), 1);
            int[] pixels = new int[WIDTH * HEIGHT];
            for (int i = 0; i < pixels.length; i++) {
                pixels[i] = 0xff000000 | (i * 7919 & 0xff) << 16 | (i * i & 0xff) << 8 | i & 0xff;
            }
            float[] input = network.preprocessing().apply(new Picture(WIDTH, HEIGHT, pixels));
            System.out.println("network " + network.name() + bits("input", input));
            for (Size size : network.sizes()) {
                Model model = network.build(size.size);
                Latencies latencies = new Latencies();
                long start = System.nanoTime();
                float[] scores = model.run(input);
                latencies.add((System.nanoTime() - start) / 1e6);
                Ranking ranking = new Ranking(scores, network.labels(), 3);
                Chart chart = new Chart(new double[] {size.size}, new double[] {1}, new double[] {1}, 1, 300, 200, 30);
                System.out.println("size " + size.name + " " + model.bytes() + " best " + ranking.labels[0]
                        + " x " + (int) chart.x[0] + (latencies.p50() > 0 ? "" : " no time")
                        + bits("scores", scores));
                model.close();
            }
            network.close();
            new NativeNetwork(new File("/nowhere.inn"), 1);
        } catch (InnException error) {
            System.out.println("error " + error.getMessage());
        }
    }

    private static String bits(String name, float[] values) {
        StringBuilder text = new StringBuilder(" ").append(name);
        for (float value : values) {
            text.append(' ').append(Integer.toHexString(Float.floatToIntBits(value)));
        }
        return text.toString();
    }
}
