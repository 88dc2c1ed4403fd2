package org.innlite.demo;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;

/**
 * Runs the app's classes over the native side on a plain JVM, for tests/android:
 * {@code Probe BUNDLE PIXELS WIDTH HEIGHT}. PIXELS holds big-endian 0xAARRGGBB. Prints what was found, one
 * {@code key value value …} a line, or {@code error MESSAGE}; either way the process ends with 0.
 */
final class Probe {
    private Probe() {}

    public static void main(String[] arguments) throws IOException {
        try {
            NativeNetwork network = new NativeNetwork(new File(arguments[0]), 1);
            print("name", network.name(), network.metric());
            print("labels", network.labels());
            if (network.preprocessing() == null) {
                System.out.println("no preprocessing");
                return;
            }
            float[] input = network.preprocessing().apply(picture(arguments));
            print("input", input);
            for (Size size : network.sizes()) {
                Model model = network.build(size.size);
                print("size", size.size, size.parameters, size.flops, size.safe ? 1 : 0, size.quality,
                        model.bytes());
                print("scores", model.run(input));
                try {
                    model.run(new float[3]);
                } catch (InnException error) {
                    System.out.println("refused " + error.getMessage());
                }
                model.close();
                try {
                    model.run(input);
                } catch (InnException error) {
                    System.out.println("closed " + error.getMessage());
                }
            }
            network.close();
        } catch (InnException error) {
            System.out.println("error " + error.getMessage());
        }
    }

    private static Picture picture(String[] arguments) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(new File(arguments[1]).toPath()));
        int[] pixels = new int[bytes.remaining() / 4];
        bytes.asIntBuffer().get(pixels);
        return new Picture(Integer.parseInt(arguments[2]), Integer.parseInt(arguments[3]), pixels);
    }

    private static void print(String key, String... values) {
        System.out.println(key + " " + String.join(" ", values));
    }

    private static void print(String key, double... values) {
        StringBuilder line = new StringBuilder(key);
        for (double value : values) {
            line.append(' ').append(value);
        }
        System.out.println(line);
    }

    private static void print(String key, float[] values) {
        StringBuilder line = new StringBuilder(key);
        for (float value : values) {
            line.append(' ').append(value);
        }
        System.out.println(line);
    }
}
