package org.innlite.demo;

import android.content.ContentResolver;
import android.content.res.AssetManager;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.Matrix;
import android.media.ExifInterface;
import android.net.Uri;

import java.io.IOException;
import java.io.InputStream;

/** Pictures from the app's samples and from other apps. */
final class Pictures {
    /** Larger ones are reduced by whole factors while they are decoded. */
    private static final int LONGEST_SIDE = 2048;

    private Pictures() {}

    static Picture pixels(Bitmap bitmap) {
        int[] pixels = new int[bitmap.getWidth() * bitmap.getHeight()];
        bitmap.getPixels(pixels, 0, bitmap.getWidth(), 0, 0, bitmap.getWidth(), bitmap.getHeight());
        return new Picture(bitmap.getWidth(), bitmap.getHeight(), pixels);
    }

    static Bitmap sample(AssetManager assets, String name) throws InnException {
        try (InputStream stream = assets.open(name)) {
            return usable(BitmapFactory.decodeStream(stream));
        } catch (IOException error) {
            throw new InnException("The sample " + name + " cannot be read: " + error.getMessage());
        }
    }

    /** A picture that the person chose, upright. */
    static Bitmap chosen(ContentResolver resolver, Uri uri) throws InnException {
        try {
            BitmapFactory.Options options = new BitmapFactory.Options();
            options.inJustDecodeBounds = true;
            try (InputStream stream = open(resolver, uri)) {
                BitmapFactory.decodeStream(stream, null, options);
            }
            options.inJustDecodeBounds = false;
            options.inSampleSize = reduction(options.outWidth, options.outHeight);
            Bitmap bitmap;
            try (InputStream stream = open(resolver, uri)) {
                bitmap = usable(BitmapFactory.decodeStream(stream, null, options));
            }
            int degrees = rotation(resolver, uri);
            if (degrees == 0) {
                return bitmap;
            }
            Matrix matrix = new Matrix();
            matrix.postRotate(degrees);
            return Bitmap.createBitmap(bitmap, 0, 0, bitmap.getWidth(), bitmap.getHeight(), matrix, true);
        } catch (IOException | SecurityException error) {
            throw new InnException("The picture cannot be read: " + error.getMessage());
        }
    }

    /** A power of two. */
    static int reduction(int width, int height) {
        int factor = 1;
        while (Math.max(width, height) / factor > LONGEST_SIDE) {
            factor *= 2;
        }
        return factor;
    }

    private static InputStream open(ContentResolver resolver, Uri uri) throws IOException {
        InputStream stream = resolver.openInputStream(uri);
        if (stream == null) {
            throw new IOException("nothing there");
        }
        return stream;
    }

    private static Bitmap usable(Bitmap bitmap) throws InnException {
        if (bitmap == null) {
            throw new InnException("This is no picture that can be decoded.");
        }
        return bitmap;
    }

    private static int rotation(ContentResolver resolver, Uri uri) throws IOException {
        try (InputStream stream = open(resolver, uri)) {
            ExifInterface exif = new ExifInterface(stream);
            switch (exif.getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)) {
                case ExifInterface.ORIENTATION_ROTATE_90:
                    return 90;
                case ExifInterface.ORIENTATION_ROTATE_180:
                    return 180;
                case ExifInterface.ORIENTATION_ROTATE_270:
                    return 270;
                default:
                    return 0;
            }
        }
    }
}
