package org.innlite.demo;

/** An opened bundle. Not to be used by two threads at once. */
interface Network {
    String name();

    /** Channels, height and width of the one input. */
    int[] inputShape();

    /** How a picture becomes the input; null where the bundle does not say. */
    Preprocessing preprocessing();

    String[] labels();

    /** Increasing; the last is the full one. */
    Size[] sizes();

    /** Name of what {@link Size#quality} holds: accuracy, agreement or psnr; "" where nothing was measured. */
    String metric();

    Model build(double size) throws InnException;

    void close();
}
