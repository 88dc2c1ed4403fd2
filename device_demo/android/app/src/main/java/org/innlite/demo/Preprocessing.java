package org.innlite.demo;

/**
 * From a picture to a network's input (docs/reference/bundle-format.md, Preprocessing): the largest central rectangle of
 * the input's proportions, cropped, resized with a triangle filter as wide as the reduction, (pixel / scale -
 * mean) / std. Resized values are rounded to whole pixels, as the exporter's image library does.
 */
final class Preprocessing {
    private final int channels;
    private final int height;
    private final int width;
    private final double crop;
    private final float scale;
    private final float[] mean;
    private final float[] std;

    private Preprocessing(int[] shape, double crop, float scale, float[] mean, float[] std) {
        channels = shape[0];
        height = shape[1];
        width = shape[2];
        this.crop = crop;
        this.scale = scale;
        this.mean = mean;
        this.std = std;
    }

    /**
     * @param values crop, scale, the means of all channels, their deviations
     * @param shape channels (1 or 3), height, width
     */
    static Preprocessing of(double[] values, int[] shape) throws InnException {
        int channels = shape[0];
        if (channels != 1 && channels != 3) {
            throw new InnException("Expected an input of 1 or 3 channels, found " + channels + ".");
        }
        if (values.length != 2 + 2 * channels) {
            throw new InnException("Expected " + (2 + 2 * channels) + " numbers of preprocessing, found "
                    + values.length + ".");
        }
        float[] mean = new float[channels];
        float[] std = new float[channels];
        for (int c = 0; c < channels; c++) {
            mean[c] = (float) values[2 + c];
            std[c] = (float) values[2 + channels + c];
        }
        return new Preprocessing(shape, values[0], (float) values[1], mean, std);
    }

    /** The input: channels, height, width. */
    float[] apply(Picture picture) {
        double share = crop * Math.min(picture.height / (double) height, picture.width / (double) width);
        double left = (picture.width - share * width) / 2;
        double top = (picture.height - share * height) / 2;
        Taps across = new Taps(picture.width, left, share * width, width);
        Taps down = new Taps(picture.height, top, share * height, height);
        float[] input = new float[channels * height * width];
        int first = down.first[0];
        int last = down.first[height - 1] + down.weights[height - 1].length;
        double[] narrow = new double[(last - first) * width];
        for (int c = 0; c < channels; c++) {
            for (int row = first; row < last; row++) {
                for (int x = 0; x < width; x++) {
                    double sum = 0;
                    double[] weights = across.weights[x];
                    int at = row * picture.width + across.first[x];
                    for (int k = 0; k < weights.length; k++) {
                        sum += weights[k] * channel(picture.pixels[at + k], c);
                    }
                    narrow[(row - first) * width + x] = whole(sum);
                }
            }
            for (int y = 0; y < height; y++) {
                double[] weights = down.weights[y];
                for (int x = 0; x < width; x++) {
                    double sum = 0;
                    int at = (down.first[y] - first) * width + x;
                    for (int k = 0; k < weights.length; k++) {
                        sum += weights[k] * narrow[at + k * width];
                    }
                    input[(c * height + y) * width + x] = ((float) whole(sum) / scale - mean[c]) / std[c];
                }
            }
        }
        return input;
    }

    /** Red, green or blue; of a network with one channel, the grey value (ITU-R 601). */
    private int channel(int pixel, int channel) {
        int red = pixel >> 16 & 0xff;
        int green = pixel >> 8 & 0xff;
        int blue = pixel & 0xff;
        if (channels == 1) {
            return 19595 * red + 38470 * green + 7471 * blue + 0x8000 >> 16;
        }
        return channel == 0 ? red : channel == 1 ? green : blue;
    }

    private static double whole(double value) {
        return Math.max(0, Math.min(255, Math.floor(value + 0.5)));
    }

    /** Which pixels of one direction each resized pixel is the weighted mean of. */
    private static final class Taps {
        final int[] first;
        final double[][] weights;

        /** {@code length} of {@code size} pixels, from {@code start} on, become {@code count}. */
        Taps(int size, double start, double length, int count) {
            first = new int[count];
            weights = new double[count][];
            double step = length / count;
            double support = Math.max(1, step);
            for (int i = 0; i < count; i++) {
                double centre = start + (i + 0.5) * step;
                int from = Math.max(0, (int) (centre - support + 0.5));
                int to = Math.min(size, (int) (centre + support + 0.5));
                first[i] = from;
                weights[i] = new double[to - from];
                double sum = 0;
                for (int k = 0; k < to - from; k++) {
                    double weight = Math.max(0, 1 - Math.abs(from + k - centre + 0.5) / support);
                    weights[i][k] = weight;
                    sum += weight;
                }
                for (int k = 0; k < to - from; k++) {
                    weights[i][k] /= sum;
                }
            }
        }
    }
}
