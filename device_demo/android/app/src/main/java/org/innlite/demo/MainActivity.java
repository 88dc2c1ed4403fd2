package org.innlite.demo;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.graphics.Bitmap;
import android.net.Uri;
import android.os.Build;
import android.os.Bundle;
import android.os.Handler;
import android.os.Looper;
import android.view.View;
import android.widget.EditText;
import android.widget.ImageButton;
import android.widget.ImageView;
import android.widget.LinearLayout;
import android.widget.SeekBar;
import android.widget.TextView;

import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** The one screen: a picture, a size, the answers, what each size costs on this phone. */
public final class MainActivity extends Activity implements Screen {
    private static final int CHOOSE_PICTURE = 1;
    private static final String SAMPLES = "samples";
    private static final int MOST_THREADS = 2;

    private final Handler handler = new Handler(Looper.getMainLooper());
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private Workbench workbench;
    private Size[] sizes = {};
    private String metric = "";

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        setContentView(R.layout.main);
        workbench = new Workbench(this, worker, new Executor() {
            @Override
            public void execute(Runnable task) {
                handler.post(task);
            }
        });
        seekBar().setOnSeekBarChangeListener(new SeekBar.OnSeekBarChangeListener() {
            @Override
            public void onProgressChanged(SeekBar bar, int progress, boolean byPerson) {
                workbench.setSize(progress);
            }

            @Override
            public void onStartTrackingTouch(SeekBar bar) {}

            @Override
            public void onStopTrackingTouch(SeekBar bar) {}
        });
        onClick(R.id.choose, new View.OnClickListener() {
            @Override
            public void onClick(View view) {
                choosePicture();
            }
        });
        onClick(R.id.measure, new View.OnClickListener() {
            @Override
            public void onClick(View view) {
                workbench.measure();
            }
        });
        onClick(R.id.find, new View.OnClickListener() {
            @Override
            public void onClick(View view) {
                workbench.findBest(((EditText) findViewById(R.id.budget)).getText().toString());
            }
        });
        addSamples();
        int threads = Math.min(MOST_THREADS, Runtime.getRuntime().availableProcessors());
        workbench.open(new BundleAsset(getApplicationContext(), threads));
    }

    @Override
    protected void onDestroy() {
        workbench.close();
        worker.shutdown();
        super.onDestroy();
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        super.onActivityResult(request, result, data);
        if (request == CHOOSE_PICTURE && result == RESULT_OK && data != null && data.getData() != null) {
            final Uri uri = data.getData();
            use(new Source<Bitmap>() {
                @Override
                public Bitmap read() throws InnException {
                    return Pictures.chosen(getContentResolver(), uri);
                }
            });
        }
    }

    // ------------------------------------------------------------------ pictures
    private void addSamples() {
        String[] names;
        try {
            names = getAssets().list(SAMPLES);
        } catch (IOException error) {
            names = new String[0];
        }
        Arrays.sort(names);
        LinearLayout row = findViewById(R.id.samples);
        for (int i = 0; i < names.length; i++) {
            final String path = SAMPLES + "/" + names[i];
            final Source<Bitmap> source = new Source<Bitmap>() {
                @Override
                public Bitmap read() throws InnException {
                    return Pictures.sample(getAssets(), path);
                }
            };
            ImageButton button = new ImageButton(this);
            button.setContentDescription(getString(R.string.sample) + " " + (i + 1));
            button.setScaleType(ImageView.ScaleType.FIT_CENTER);
            try {
                button.setImageBitmap(source.read());
            } catch (InnException error) {
                showProblem(error.getMessage());
                continue;
            }
            button.setOnClickListener(new View.OnClickListener() {
                @Override
                public void onClick(View view) {
                    use(source);
                }
            });
            int side = (int) (64 * getResources().getDisplayMetrics().density);
            row.addView(button, new LinearLayout.LayoutParams(side, side));
            if (i == 0) {
                use(source);
            }
        }
    }

    private void choosePicture() {
        Intent intent = new Intent(Intent.ACTION_GET_CONTENT);
        intent.addCategory(Intent.CATEGORY_OPENABLE);
        intent.setType("image/*");
        try {
            startActivityForResult(intent, CHOOSE_PICTURE);
        } catch (ActivityNotFoundException error) {
            showProblem("This device has no app to choose pictures with.");
        }
    }

    /** Decodes on the worker's thread, once, and shows what was decoded. */
    private void use(final Source<Bitmap> source) {
        workbench.setPicture(new Source<Picture>() {
            private Picture decoded;

            @Override
            public Picture read() throws InnException {
                if (decoded == null) {
                    final Bitmap bitmap = source.read();
                    decoded = Pictures.pixels(bitmap);
                    handler.post(new Runnable() {
                        @Override
                        public void run() {
                            ((ImageView) findViewById(R.id.picture)).setImageBitmap(bitmap);
                        }
                    });
                }
                return decoded;
            }
        });
    }

    // ------------------------------------------------------------------ the screen
    @Override
    public void showNetwork(Network network, int chosen) {
        sizes = network.sizes();
        metric = network.metric();
        setText(R.id.title, network.name());
        SeekBar bar = seekBar();
        bar.setMax(sizes.length - 1);
        bar.setProgress(chosen);
        bar.setEnabled(true);
    }

    @Override
    public void showSize(int index, Size size) {
        seekBar().setProgress(index);
        Size full = sizes[sizes.length - 1];
        StringBuilder text = new StringBuilder("Size " + Format.size(size.size));
        if (!size.name.isEmpty()) {
            text.append(" (").append(size.name).append(')');
        }
        text.append('\n').append(Format.count(size.parameters)).append(" parameters, ");
        text.append(Format.percent(size.parameters / full.parameters)).append("; ");
        text.append(Format.count(size.flops)).append(" FLOPs");
        if (!Double.isNaN(size.quality)) {
            text.append('\n').append(metric).append(' ').append(Format.quality(metric, size.quality));
            text.append(" at export");
        }
        if (!size.safe) {
            text.append("\nThe network was measured to collapse at this size.");
        }
        setText(R.id.size, text.toString());
        seekBar().setContentDescription("Size " + Format.size(size.size) + " " + size.name);
    }

    @Override
    public void showAnswer(Answer answer) {
        boolean isFull = answer.chosen.size == answer.full.size;
        setText(R.id.verdict, isFull ? "" : answer.agrees() ? "The same answer as the full network."
                : "Not the full network's answer.");
        setText(R.id.chosen, describe("Size " + Format.size(answer.chosen.size.size), answer.chosen));
        setText(R.id.full, describe("Full size", answer.full));
    }

    private static String describe(String title, Answer.Side side) {
        StringBuilder text = new StringBuilder(title).append('\n');
        for (int i = 0; i < side.ranking.labels.length; i++) {
            text.append('\n').append(side.ranking.labels[i]).append("  ");
            text.append(Format.percent(side.ranking.shares[i]));
        }
        text.append("\n\np50 ").append(Format.milliseconds(side.p50));
        text.append("\np95 ").append(Format.milliseconds(side.p95));
        text.append("\n(").append(side.runs).append(" runs)");
        text.append("\nmodel ").append(Format.megabytes(side.bytes));
        text.append("\nresampled in ").append(Format.milliseconds(side.resample));
        text.append("\nbuilt in ").append(Format.milliseconds(side.build));
        return text.toString();
    }

    @Override
    public void showLatencies(double[] p50, double[] p95, int chosen) {
        int count = 0;
        for (double value : p50) {
            count += Double.isNaN(value) ? 0 : 1;
        }
        double[][] points = new double[3][count];
        StringBuilder spoken = new StringBuilder("Latency against size");
        int at = 0;
        for (int i = 0; i < p50.length; i++) {
            if (Double.isNaN(p50[i])) {
                continue;
            }
            points[0][at] = sizes[i].size;
            points[1][at] = p50[i];
            points[2][at] = p95[i];
            at++;
            spoken.append("; ").append(Format.size(sizes[i].size)).append(": ").append(Format.milliseconds(p50[i]));
        }
        ChartView chart = findViewById(R.id.chart);
        chart.show(points[0], points[1], points[2], sizes[chosen].size);
        chart.setContentDescription(spoken);
    }

    @Override
    public void showFound(String text) {
        setText(R.id.found, text);
    }

    @Override
    public void showProblem(String text) {
        TextView problem = findViewById(R.id.problem);
        String abis = Arrays.toString(Build.SUPPORTED_ABIS);
        boolean isNative = text != null && text.startsWith("The native library");
        problem.setText(isNative ? text + "\nIt is made for arm64-v8a; this device takes " + abis + "." : text);
        problem.setVisibility(text == null ? View.GONE : View.VISIBLE);
    }

    private void onClick(int id, View.OnClickListener listener) {
        findViewById(id).setOnClickListener(listener);
    }

    private SeekBar seekBar() {
        return findViewById(R.id.dial);
    }

    private void setText(int id, String text) {
        ((TextView) findViewById(id)).setText(text);
    }
}
