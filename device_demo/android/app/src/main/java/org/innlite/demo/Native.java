package org.innlite.demo;

/** The functions of jni/inn_android.cc. Handles are memory of the native side; each is closed once. */
final class Native {
    private static boolean loaded;

    private Native() {}

    /**
     * Loads the native library and the engine, once.
     *
     * <p>On Android they lie inside the app. Elsewhere the system properties inn.native, inn.engine and
     * inn.mindspore name the library, the engine's C interface and the folder of MindSpore Lite.
     */
    static synchronized void load() throws InnException {
        if (loaded) {
            return;
        }
        String path = System.getProperty("inn.native");
        try {
            if (path == null) {
                System.loadLibrary("inn_android");
            } else {
                System.load(path);
            }
        } catch (UnsatisfiedLinkError error) {
            throw new InnException("The native library cannot be loaded on this device ("
                    + System.getProperty("os.arch") + "): " + error.getMessage());
        }
        loadEngine(System.getProperty("inn.engine", "libinn_engine.so"), System.getProperty("inn.mindspore", ""));
        loaded = true;
    }

    private static native void loadEngine(String cInterface, String folder) throws InnException;

    static native long open(String path) throws InnException;

    static native void closeBundle(long bundle);

    static native String name(long bundle);

    /** Channels, height, width. */
    static native int[] inputShape(long bundle) throws InnException;

    /** Crop, scale, the means of all channels, their deviations; null where the bundle does not say. */
    static native double[] preprocessing(long bundle) throws InnException;

    static native String[] labels(long bundle);

    static native String metric(long bundle);

    static native String[] sizeNames(long bundle);

    /** Five numbers for each size: size, parameters, FLOPs, 1 if safe, quality. */
    static native double[] sizes(long bundle);

    static native long build(long bundle, double size, int threads) throws InnException;

    static native void closeModel(long model);

    /** Bytes of the .ms model, milliseconds of resampling and of building. */
    static native double[] facts(long model);

    static native float[] run(long model, float[] input) throws InnException;
}
