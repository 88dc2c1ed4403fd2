package org.innlite.demo;

/** A size for which the bundle holds data, and what was measured there at export. */
final class Size {
    final double size;
    /** The preset's name, or "". */
    final String name;
    final double parameters;
    final double flops;
    final boolean safe;
    /** Of the bundle's first metric; NaN where there is none. */
    final double quality;

    Size(double size, String name, double parameters, double flops, boolean safe, double quality) {
        this.size = size;
        this.name = name;
        this.parameters = parameters;
        this.flops = flops;
        this.safe = safe;
        this.quality = quality;
    }
}
