package org.innlite.demo;

/** A network of one size in the engine. Not to be used by two threads at once. */
interface Model {
    long bytes();

    double resampleMilliseconds();

    double buildMilliseconds();

    /** The first output for one image: channels, height, width. */
    float[] run(float[] input) throws InnException;

    void close();
}
