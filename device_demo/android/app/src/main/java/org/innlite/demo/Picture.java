package org.innlite.demo;

/** Pixels of a picture, row by row, each 0xAARRGGBB. */
final class Picture {
    final int width;
    final int height;
    final int[] pixels;

    Picture(int width, int height, int[] pixels) {
        if (width < 1 || height < 1 || pixels.length != width * height) {
            throw new IllegalArgumentException(width + " x " + height + " with " + pixels.length + " pixels");
        }
        this.width = width;
        this.height = height;
        this.pixels = pixels;
    }
}
