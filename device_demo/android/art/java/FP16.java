package libcore.util;

/** The runtime looks these up when it starts; this class library is one version older and lacks them. */
public final class FP16 {
    private FP16() {}

    public static short ceil(short value) {
        throw new UnsupportedOperationException();
    }

    public static short floor(short value) {
        throw new UnsupportedOperationException();
    }

    public static short rint(short value) {
        throw new UnsupportedOperationException();
    }

    public static float toFloat(short value) {
        throw new UnsupportedOperationException();
    }

    public static short toHalf(float value) {
        throw new UnsupportedOperationException();
    }

    public static boolean greater(short left, short right) {
        throw new UnsupportedOperationException();
    }

    public static boolean greaterEquals(short left, short right) {
        throw new UnsupportedOperationException();
    }

    public static boolean less(short left, short right) {
        throw new UnsupportedOperationException();
    }

    public static boolean lessEquals(short left, short right) {
        throw new UnsupportedOperationException();
    }
}
