package org.innlite.demo;

import java.util.concurrent.Executor;

/**
 * What the app does, without Android: opens the network, answers for a picture at the size in use, measures
 * latencies, finds the best size. Public methods are called by the screen's thread and return at once; the work
 * is done by the worker's, one task after the other, and its results go back to the screen.
 */
final class Workbench {
    static final int TOP = 5;
    /** An answer is timed this often, or this long where the network is slow. */
    private static final int RUNS = 20;
    private static final double MILLISECONDS = 200;

    private final Screen screen;
    private final Executor worker;
    private final Executor front;

    // Of the screen's thread.
    private boolean asked;
    private boolean again;
    private boolean closed;
    private int chosen;
    private Source<Picture> picture;
    private Size[] sizes = new Size[0];

    // Of the worker's thread.
    private Network network;
    private Model full;
    private Model other;
    private int otherIndex;
    private Latencies[] latencies = new Latencies[0];

    /**
     * @param worker runs tasks one after the other
     * @param front runs tasks on the screen's thread
     */
    Workbench(Screen screen, Executor worker, Executor front) {
        this.screen = screen;
        this.worker = worker;
        this.front = front;
    }

    /** Opens the network, builds its full size and measures all sizes. */
    void open(final Source<Network> source) {
        submit(new Task() {
            @Override
            void work() throws InnException {
                Network opened = source.read();
                Size[] found = opened.sizes();
                if (opened.preprocessing() == null) {
                    opened.close();
                    throw new InnException("The network does not say how pictures become its input; export it "
                            + "with --preprocess.");
                }
                network = opened;
                latencies = new Latencies[found.length];
                for (int i = 0; i < found.length; i++) {
                    latencies[i] = new Latencies();
                }
                model(found.length - 1);
            }

            @Override
            void show() {
                sizes = network.sizes();
                chosen = middle(sizes);
                screen.showNetwork(network, chosen);
                screen.showSize(chosen, sizes[chosen]);
                screen.showProblem(null);
                measure();
                ask();
            }
        });
    }

    /** The slider has moved. */
    void setSize(int index) {
        if (index < 0 || index >= sizes.length || index == chosen) {
            return;
        }
        chosen = index;
        screen.showSize(index, sizes[index]);
        showLatencies();
        ask();
    }

    /** Another picture. */
    void setPicture(Source<Picture> source) {
        picture = source;
        ask();
    }

    /** Measures the latency of every size anew. */
    void measure() {
        for (int i = 0; i < sizes.length; i++) {
            final int index = i;
            submit(new Task() {
                @Override
                void work() throws InnException {
                    time(index);
                }

                @Override
                void show() {
                    showLatencies();
                }
            });
        }
    }

    /** Measures all sizes and takes the largest whose median latency is within the budget. */
    void findBest(String milliseconds) {
        final double budget;
        try {
            budget = Double.parseDouble(milliseconds.trim().replace(',', '.'));
        } catch (NumberFormatException error) {
            screen.showFound("Expected a number of milliseconds, found \"" + milliseconds.trim() + "\".");
            return;
        }
        if (!(budget > 0) || Double.isInfinite(budget)) {
            screen.showFound("Expected a time above 0 ms.");
            return;
        }
        if (sizes.length == 0) {
            return;
        }
        screen.showFound("Measuring …");
        submit(new Task() {
            @Override
            void work() throws InnException {
                for (int i = 0; i < latencies.length; i++) {
                    time(i);
                }
            }

            @Override
            void show() {
                showBest(budget);
            }

            @Override
            void fail(String message) {
                screen.showFound("");
                super.fail(message);
            }
        });
    }

    /** Frees the network after the task at hand; the workbench shows nothing any more. */
    void close() {
        closed = true;
        worker.execute(new Runnable() {
            @Override
            public void run() {
                dropOther();
                if (full != null) {
                    full.close();
                    full = null;
                }
                if (network != null) {
                    network.close();
                    network = null;
                }
            }
        });
    }

    private void showBest(double budget) {
        double[] p50 = medians();
        int best = best(p50, budget);
        if (best < 0) {
            int fastest = 0;
            for (int i = 1; i < p50.length; i++) {
                fastest = p50[i] < p50[fastest] ? i : fastest;
            }
            screen.showFound("No size is done within " + Format.milliseconds(budget) + ". The fastest, "
                    + Format.size(sizes[fastest].size) + ", takes " + Format.milliseconds(p50[fastest]) + ".");
        } else {
            screen.showFound("Size " + Format.size(sizes[best].size) + " takes "
                    + Format.milliseconds(p50[best]) + ".");
            setSize(best);
        }
        showLatencies();
    }

    /** Index of the last size that is within the budget, -1 if none is. */
    static int best(double[] milliseconds, double budget) {
        int found = -1;
        for (int i = 0; i < milliseconds.length; i++) {
            found = milliseconds[i] <= budget ? i : found;
        }
        return found;
    }

    private static int middle(Size[] sizes) {
        for (int i = 0; i < sizes.length; i++) {
            if (sizes[i].name.equals("small")) {
                return i;
            }
        }
        return sizes.length - 1;
    }

    /** Asks for an answer; what changes meanwhile is asked about once, afterwards. */
    private void ask() {
        if (picture == null || sizes.length == 0) {
            return;
        }
        if (asked) {
            again = true;
            return;
        }
        asked = true;
        final int index = chosen;
        final Source<Picture> source = picture;
        submit(new Task() {
            private Answer answer;

            @Override
            void work() throws InnException {
                float[] input = network.preprocessing().apply(source.read());
                int last = latencies.length - 1;
                Answer.Side whole = side(last, input);
                answer = new Answer(index == last ? whole : side(index, input), whole);
            }

            @Override
            void show() {
                screen.showProblem(null);
                screen.showAnswer(answer);
                showLatencies();
                done();
            }

            @Override
            void fail(String message) {
                super.fail(message);
                done();
            }

            private void done() {
                asked = false;
                if (again) {
                    again = false;
                    ask();
                }
            }
        });
    }

    private void showLatencies() {
        double[] p95 = new double[sizes.length];
        synchronized (this) {
            for (int i = 0; i < p95.length; i++) {
                p95[i] = latencies[i].p95();
            }
        }
        screen.showLatencies(medians(), p95, chosen);
    }

    private synchronized double[] medians() {
        double[] p50 = new double[sizes.length];
        for (int i = 0; i < p50.length; i++) {
            p50[i] = latencies[i].p50();
        }
        return p50;
    }

    // ------------------------------------------------------------------ on the worker's thread
    /** Besides the full size only the one used last is kept: the engine's memory stays bounded. */
    private Model model(int index) throws InnException {
        if (index == latencies.length - 1) {
            if (full == null) {
                full = network.build(network.sizes()[index].size);
            }
            return full;
        }
        if (other == null || otherIndex != index) {
            dropOther();
            other = network.build(network.sizes()[index].size);
            otherIndex = index;
        }
        return other;
    }

    private void dropOther() {
        if (other != null) {
            other.close();
            other = null;
        }
    }

    private Answer.Side side(int index, float[] input) throws InnException {
        Model model = model(index);
        Ranking ranking = new Ranking(model.run(input), network.labels(), TOP);
        repeat(index, model, input);
        synchronized (this) {
            return new Answer.Side(network.sizes()[index], ranking, model, latencies[index]);
        }
    }

    private void time(int index) throws InnException {
        int[] shape = network.inputShape();
        float[] input = new float[shape[0] * shape[1] * shape[2]];
        for (int i = 0; i < input.length; i++) {
            input[i] = (i * 37 % 101) / 50f - 1;
        }
        Model model = model(index);
        model.run(input);
        synchronized (this) {
            latencies[index].clear();
        }
        repeat(index, model, input);
    }

    private void repeat(int index, Model model, float[] input) throws InnException {
        long end = System.nanoTime() + (long) (MILLISECONDS * 1e6);
        for (int run = 0; run < RUNS && (run == 0 || System.nanoTime() < end); run++) {
            long start = System.nanoTime();
            model.run(input);
            double milliseconds = (System.nanoTime() - start) / 1e6;
            synchronized (this) {
                latencies[index].add(milliseconds);
            }
        }
    }

    private void submit(final Task task) {
        worker.execute(new Runnable() {
            @Override
            public void run() {
                String message = null;
                try {
                    task.work();
                } catch (InnException error) {
                    message = error.getMessage();
                } catch (OutOfMemoryError error) {
                    message = "There is not enough memory.";
                } catch (RuntimeException error) {
                    message = "The app failed: " + error;
                }
                final String problem = message;
                front.execute(new Runnable() {
                    @Override
                    public void run() {
                        if (closed) {
                            return;
                        }
                        if (problem == null) {
                            task.show();
                        } else {
                            task.fail(problem);
                        }
                    }
                });
            }
        });
    }

    /** Something to be done by the worker's thread and then shown by the screen's. */
    private abstract class Task {
        abstract void work() throws InnException;

        abstract void show();

        void fail(String message) {
            screen.showProblem(message);
        }
    }
}
