package org.innlite.demo;

import android.content.Context;

import java.io.File;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/** The bundle inside the app, copied to a file, which the native side maps. */
final class BundleAsset implements Source<Network> {
    static final String NAME = "model.inn";

    private final Context context;
    private final int threads;

    BundleAsset(Context context, int threads) {
        this.context = context;
        this.threads = threads;
    }

    @Override
    public Network read() throws InnException {
        File file = new File(context.getFilesDir(), NAME);
        File copy = new File(context.getFilesDir(), NAME + ".new");
        try (InputStream from = context.getAssets().open(NAME)) {
            try (OutputStream to = new FileOutputStream(copy)) {
                byte[] block = new byte[1 << 16];
                for (int count = from.read(block); count > 0; count = from.read(block)) {
                    to.write(block, 0, count);
                }
            }
            if (!copy.renameTo(file)) {
                throw new IOException("cannot rename " + copy);
            }
        } catch (FileNotFoundException error) {
            throw new InnException("The app holds no network: the asset " + NAME + " is missing.");
        } catch (IOException error) {
            throw new InnException("The network cannot be unpacked: " + error.getMessage());
        }
        return new NativeNetwork(file, threads);
    }
}
