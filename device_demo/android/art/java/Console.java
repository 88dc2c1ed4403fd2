package java.lang;

import java.io.OutputStream;
import java.io.PrintStream;

/** Standard output without the character encoders and file descriptors that are not ported. */
final class Console extends PrintStream {
    private final int file;

    Console(int file) {
        super(new Raw(file), true);
        this.file = file;
    }

    static native void write(int file, byte[] bytes, int count);

    @Override
    public void print(String text) {
        String shown = text == null ? "null" : text;
        byte[] bytes = new byte[3 * shown.length()];
        int count = 0;
        for (int i = 0; i < shown.length(); i++) {
            char unit = shown.charAt(i);
            if (unit < 0x80) {
                bytes[count++] = (byte) unit;
            } else if (unit < 0x800) {
                bytes[count++] = (byte) (0xC0 | unit >> 6);
                bytes[count++] = (byte) (0x80 | unit & 0x3F);
            } else {
                bytes[count++] = (byte) (0xE0 | unit >> 12);
                bytes[count++] = (byte) (0x80 | unit >> 6 & 0x3F);
                bytes[count++] = (byte) (0x80 | unit & 0x3F);
            }
        }
        write(file, bytes, count);
    }

    @Override
    public void print(Object value) {
        print(String.valueOf(value));
    }

    @Override
    public void println(String text) {
        print(text + "\n");
    }

    @Override
    public void println(Object value) {
        print(value + "\n");
    }

    private static final class Raw extends OutputStream {
        private final int file;

        Raw(int file) {
            this.file = file;
        }

        @Override
        public void write(int value) {
            Console.write(file, new byte[] {(byte) value}, 1);
        }

        @Override
        public void write(byte[] bytes, int start, int count) {
            byte[] part = new byte[count];
            System.arraycopy(bytes, start, part, 0, count);
            Console.write(file, part, count);
        }
    }
}
