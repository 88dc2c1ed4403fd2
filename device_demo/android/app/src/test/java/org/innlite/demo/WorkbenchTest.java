package org.innlite.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.Executor;
import org.junit.Before;
import org.junit.Test;

/** What the person sees when the slider moves, a picture is chosen, a budget is set, and things go wrong. */
public final class WorkbenchTest {
    private static final double[] SIZES = {0.25, 0.5, 0.7, 1};
    private static final String[] NAMES = {"tiny", "small", "", "full"};

    private final Queue worker = new Queue();
    private final Queue front = new Queue();
    private final Recorder screen = new Recorder();
    private final FakeNetwork network = new FakeNetwork();
    private Workbench workbench;

    @Before
    public void make() {
        workbench = new Workbench(screen, worker, front);
    }

    private void settle() {
        while (worker.runAll() + front.runAll() > 0) {
            continue;
        }
    }

    private void open() {
        workbench.open(() -> network);
        settle();
    }

    private static Source<Picture> grey(int level) {
        return () -> new Picture(1, 1, new int[] {0xff000000 | level * 0x010101});
    }

    @Test
    public void openingShowsTheNetworkAtItsSmallSizeAndMeasuresAllSizes() {
        open();
        assertEquals(1, screen.chosen);
        assertEquals("small", screen.size.name);
        assertNull(screen.problem);
        for (double value : screen.p50) {
            assertTrue(value >= 0);
        }
        assertNull("no picture, no answer", screen.answer);
    }

    @Test
    public void aPictureIsAnsweredAtTheChosenSizeAndAtFullSize() {
        open();
        workbench.setPicture(grey(200));
        settle();
        assertEquals(0.5, screen.answer.chosen.size.size, 0);
        assertEquals(1, screen.answer.full.size.size, 0);
        assertEquals("bright", screen.answer.full.ranking.labels[0]);
        assertEquals(500, screen.answer.chosen.bytes);
        assertTrue(screen.answer.chosen.runs > 1);
        assertTrue(screen.answer.agrees());
    }

    @Test
    public void aSizeThatErrsIsTold() {
        open();
        workbench.setPicture(grey(200));
        workbench.setSize(0); // the fake network turns the answer round at its smallest size
        settle();
        assertEquals("dark", screen.answer.chosen.ranking.labels[0]);
        assertFalse(screen.answer.agrees());
    }

    @Test
    public void aPictureChosenBeforeTheNetworkIsOpenIsAnsweredThen() {
        workbench.setPicture(grey(10));
        open();
        assertEquals("dark", screen.answer.full.ranking.labels[0]);
    }

    @Test
    public void manyMovesOfTheSliderAreAnsweredOnceAtTheLastPlace() {
        open();
        workbench.setPicture(grey(200));
        for (int i = 0; i < 50; i++) {
            workbench.setSize(i % SIZES.length);
        }
        assertTrue("moves do not pile up", worker.tasks.size() <= 1);
        workbench.setSize(2);
        int before = screen.answers;
        settle();
        assertEquals(2, screen.answers - before);
        assertEquals(0.7, screen.answer.chosen.size.size, 0);
    }

    @Test
    public void placesBeyondTheSliderAreIgnored() {
        open();
        workbench.setSize(-1);
        workbench.setSize(SIZES.length);
        assertEquals(1, screen.chosen);
    }

    @Test
    public void neverMoreThanTwoModelsAreBuilt() {
        open();
        workbench.setPicture(grey(1));
        for (int i = 0; i < 20; i++) {
            workbench.setSize(i % SIZES.length);
            settle();
        }
        workbench.measure();
        settle();
        assertEquals(2, network.mostOpen);
    }

    @Test
    public void theBestSizeIsTheLastThatFits() {
        double[] medians = {0.2, 0.4, 0.9, 2};
        assertEquals(-1, Workbench.best(medians, 0.1));
        assertEquals(1, Workbench.best(medians, 0.5));
        assertEquals(3, Workbench.best(medians, 2));
        assertEquals(-1, Workbench.best(new double[] {Double.NaN}, 5));
    }

    @Test
    public void ampleTimeFindsTheFullSizeAndMovesTheSlider() {
        open();
        workbench.setPicture(grey(200));
        workbench.findBest(" 1000000,5 ");
        assertEquals("Measuring …", screen.found);
        settle();
        assertEquals(3, screen.chosen);
        assertTrue(screen.found, screen.found.startsWith("Size 1 takes "));
        assertEquals(1, screen.answer.chosen.size.size, 0);
    }

    @Test
    public void anImpossibleBudgetNamesTheFastest() {
        open();
        workbench.findBest("0.0000001");
        settle();
        assertTrue(screen.found, screen.found.startsWith("No size is done within 0.00 ms. The fastest, "));
        assertEquals("the slider stays", 1, screen.chosen);
    }

    @Test
    public void unfitBudgetsAreExplained() {
        open();
        for (String text : new String[] {"", "fast", "1e", "-1", "0", "NaN", "Infinity"}) {
            screen.found = null;
            workbench.findBest(text);
            assertTrue(text, screen.found.startsWith("Expected a "));
            assertTrue(worker.tasks.isEmpty());
        }
    }

    @Test
    public void aMissingNetworkIsSaidAndTheAppStaysAlive() {
        workbench.open(() -> {
            throw new InnException("The app holds no network: the asset model.inn is missing.");
        });
        settle();
        assertEquals("The app holds no network: the asset model.inn is missing.", screen.problem);
        workbench.setPicture(grey(1));
        workbench.setSize(1);
        workbench.measure();
        workbench.findBest("5");
        settle();
        assertNull(screen.answer);
    }

    @Test
    public void aNetworkThatDoesNotSayHowPicturesBecomeItsInputIsRefusedAndClosed() {
        network.preprocessing = null;
        open();
        assertTrue(screen.problem, screen.problem.contains("export it with --preprocess"));
        assertTrue(network.closed);
    }

    @Test
    public void aPictureThatCannotBeDecodedIsSaidUntilTheNextOne() {
        open();
        workbench.setPicture(() -> {
            throw new InnException("This is no picture that can be decoded.");
        });
        settle();
        assertEquals("This is no picture that can be decoded.", screen.problem);
        workbench.setPicture(grey(200));
        settle();
        assertNull(screen.problem);
        assertEquals("bright", screen.answer.full.ranking.labels[0]);
    }

    @Test
    public void failuresOfEveryKindAreSaidAndSurvived() {
        open();
        workbench.setPicture(grey(200));
        settle();
        for (Throwable failure : new Throwable[] {
            new InnException("MindSpore Lite: refused"), new OutOfMemoryError(), new IllegalStateException("odd")}) {
            network.failure = failure;
            workbench.setSize(screen.chosen == 0 ? 1 : 0);
            settle();
            assertTrue(screen.problem, screen.problem.matches(
                    "MindSpore Lite: refused|There is not enough memory\\.|The app failed: .*odd"));
            network.failure = null;
            workbench.setSize(2);
            settle();
            assertNull(screen.problem);
            assertEquals(0.7, screen.answer.chosen.size.size, 0);
        }
    }

    @Test
    public void closingFreesEverythingAndShowsNothingMore() {
        open();
        workbench.setPicture(grey(200));
        workbench.close();
        settle();
        assertNull(screen.answer);
        assertEquals(0, network.open);
        assertTrue(network.closed);
    }

    /** Runs tasks when told to. */
    private static final class Queue implements Executor {
        final Deque<Runnable> tasks = new ArrayDeque<>();

        @Override
        public void execute(Runnable task) {
            tasks.add(task);
        }

        int runAll() {
            int count = 0;
            for (; !tasks.isEmpty(); count++) {
                tasks.remove().run();
            }
            return count;
        }
    }

    private static final class Recorder implements Screen {
        int chosen = -1;
        Size size;
        Answer answer;
        int answers;
        double[] p50;
        String found;
        String problem;

        @Override
        public void showNetwork(Network network, int chosen) {
            this.chosen = chosen;
        }

        @Override
        public void showSize(int index, Size size) {
            chosen = index;
            this.size = size;
        }

        @Override
        public void showAnswer(Answer answer) {
            this.answer = answer;
            answers++;
        }

        @Override
        public void showLatencies(double[] p50, double[] p95, int chosen) {
            this.p50 = p50;
        }

        @Override
        public void showFound(String text) {
            found = text;
        }

        @Override
        public void showProblem(String text) {
            problem = text;
        }
    }

    /** Calls a grey pixel bright or dark; the other way round at its smallest size. */
    private static final class FakeNetwork implements Network {
        Preprocessing preprocessing;
        Throwable failure;
        int open;
        int mostOpen;
        boolean closed;
        private final List<Size> sizes = new ArrayList<>();

        FakeNetwork() {
            try {
                preprocessing = Preprocessing.of(new double[] {1, 255, 0.5, 1}, inputShape());
            } catch (InnException error) {
                throw new AssertionError(error);
            }
            for (int i = 0; i < SIZES.length; i++) {
                sizes.add(new Size(SIZES[i], NAMES[i], 1000 * SIZES[i], 1, true, 0.9));
            }
        }

        @Override
        public String name() {
            return "fake";
        }

        @Override
        public int[] inputShape() {
            return new int[] {1, 1, 1};
        }

        @Override
        public Preprocessing preprocessing() {
            return preprocessing;
        }

        @Override
        public String[] labels() {
            return new String[] {"dark", "bright"};
        }

        @Override
        public Size[] sizes() {
            return sizes.toArray(new Size[0]);
        }

        @Override
        public String metric() {
            return "accuracy";
        }

        @Override
        public Model build(final double size) {
            open++;
            mostOpen = Math.max(open, mostOpen);
            return new Model() {
                @Override
                public long bytes() {
                    return (long) (1000 * size);
                }

                @Override
                public double resampleMilliseconds() {
                    return 1;
                }

                @Override
                public double buildMilliseconds() {
                    return 2;
                }

                @Override
                public float[] run(float[] input) throws InnException {
                    if (failure instanceof InnException) {
                        throw (InnException) failure;
                    } else if (failure instanceof Error) {
                        throw (Error) failure;
                    } else if (failure != null) {
                        throw (RuntimeException) failure;
                    }
                    float bright = size == SIZES[0] ? -input[0] : input[0];
                    return new float[] {-bright, bright};
                }

                @Override
                public void close() {
                    open--;
                }
            };
        }

        @Override
        public void close() {
            closed = true;
        }
    }
}
