package org.innlite.demo;

import java.io.File;

/** A bundle opened by the C++ core. */
final class NativeNetwork implements Network {
    private static final int FIGURES = 5;

    private long bundle;
    private final int threads;
    private final String name;
    private final String metric;
    private final int[] inputShape;
    private final Preprocessing preprocessing;
    private final String[] labels;
    private final Size[] sizes;

    NativeNetwork(File file, int threads) throws InnException {
        Native.load();
        this.threads = threads;
        bundle = Native.open(file.getPath());
        try {
            name = Native.name(bundle);
            metric = Native.metric(bundle);
            labels = Native.labels(bundle);
            inputShape = Native.inputShape(bundle);
            double[] values = Native.preprocessing(bundle);
            preprocessing = values == null ? null : Preprocessing.of(values, inputShape);
            String[] names = Native.sizeNames(bundle);
            double[] figures = Native.sizes(bundle);
            sizes = new Size[names.length];
            for (int i = 0; i < sizes.length; i++) {
                int at = FIGURES * i;
                sizes[i] = new Size(figures[at], names[i], figures[at + 1], figures[at + 2],
                        figures[at + 3] != 0, figures[at + 4]);
            }
        } catch (InnException error) {
            close();
            throw error;
        }
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int[] inputShape() {
        return inputShape;
    }

    @Override
    public Preprocessing preprocessing() {
        return preprocessing;
    }

    @Override
    public String[] labels() {
        return labels;
    }

    @Override
    public Size[] sizes() {
        return sizes;
    }

    @Override
    public String metric() {
        return metric;
    }

    @Override
    public Model build(double size) throws InnException {
        if (bundle == 0) {
            throw new InnException("The network is closed.");
        }
        return new NativeModel(Native.build(bundle, size, threads));
    }

    @Override
    public void close() {
        if (bundle != 0) {
            Native.closeBundle(bundle);
            bundle = 0;
        }
    }

    private static final class NativeModel implements Model {
        private long model;
        private final double[] facts;

        NativeModel(long model) {
            this.model = model;
            facts = Native.facts(model);
        }

        @Override
        public long bytes() {
            return (long) facts[0];
        }

        @Override
        public double resampleMilliseconds() {
            return facts[1];
        }

        @Override
        public double buildMilliseconds() {
            return facts[2];
        }

        @Override
        public float[] run(float[] input) throws InnException {
            if (model == 0) {
                throw new InnException("The model is closed.");
            }
            return Native.run(model, input);
        }

        @Override
        public void close() {
            if (model != 0) {
                Native.closeModel(model);
                model = 0;
            }
        }
    }
}
