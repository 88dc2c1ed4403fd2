package org.innlite.demo;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import java.util.Arrays;
import org.junit.Test;

/** Exact cases; the others are compared with the exporter's own preprocessing by tests/android. */
public final class PreprocessingTest {
    private static final double[] GREY = {1, 255, 0.5, 0.5};

    private static Picture plain(int width, int height, int pixel) {
        int[] pixels = new int[width * height];
        Arrays.fill(pixels, pixel);
        return new Picture(width, height, pixels);
    }

    @Test
    public void aPictureOfTheInputsSizeIsTakenAsItIs() throws InnException {
        Preprocessing colour = Preprocessing.of(new double[] {1, 1, 0, 10, 20, 1, 2, 4}, new int[] {3, 1, 2});
        Picture picture = new Picture(2, 1, new int[] {0xff102030, 0x00ff0000});
        assertArrayEquals(new float[] {16, 255, 11, -5, 7, -5}, colour.apply(picture), 0);
    }

    @Test
    public void greyIsWeighted() throws InnException {
        Preprocessing grey = Preprocessing.of(new double[] {1, 1, 0, 1}, new int[] {1, 1, 1});
        assertEquals(76, grey.apply(plain(1, 1, 0xffff0000))[0], 0);
        assertEquals(150, grey.apply(plain(1, 1, 0xff00ff00))[0], 0);
        assertEquals(255, grey.apply(plain(1, 1, 0xffffffff))[0], 0);
    }

    @Test
    public void anyProportionsGiveTheInputsShape() throws InnException {
        Preprocessing grey = Preprocessing.of(GREY, new int[] {1, 28, 20});
        for (int[] size : new int[][] {{1, 1}, {1, 900}, {900, 1}, {20, 28}, {3, 5}, {640, 480}}) {
            float[] input = grey.apply(plain(size[0], size[1], 0xffffffff));
            assertEquals(28 * 20, input.length);
            for (float value : input) {
                assertEquals(1, value, 1e-6);
            }
        }
    }

    @Test
    public void theCentreIsCropped() throws InnException {
        Preprocessing grey = Preprocessing.of(new double[] {1, 1, 0, 1}, new int[] {1, 1, 1});
        int[] pixels = new int[9];
        Arrays.fill(pixels, 0xffffffff);
        pixels[4] = 0xff000000;
        Picture wide = new Picture(9, 1, pixels);
        assertEquals(0, grey.apply(wide)[0], 0);
    }

    @Test
    public void unfitValuesAreRefused() {
        assertThrows(InnException.class, () -> Preprocessing.of(GREY, new int[] {2, 4, 4}));
        assertThrows(InnException.class, () -> Preprocessing.of(GREY, new int[] {3, 4, 4}));
    }
}
