package org.innlite.demo;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.util.AttributeSet;
import android.view.View;

/** Draws latency against size. */
public final class ChartView extends View {
    private static final double[] LABELLED_SIZES = {0, 0.25, 0.5, 0.75, 1};

    private final Paint line = new Paint(Paint.ANTI_ALIAS_FLAG);
    private final Paint grid = new Paint(Paint.ANTI_ALIAS_FLAG);
    private final Paint text = new Paint(Paint.ANTI_ALIAS_FLAG);
    private final float unit;
    private double[] sizes = {};
    private double[] p50 = {};
    private double[] p95 = {};
    private double chosen = 1;

    public ChartView(Context context, AttributeSet attributes) {
        super(context, attributes);
        unit = getResources().getDisplayMetrics().density;
        line.setColor(getResources().getColor(R.color.accent, context.getTheme()));
        line.setStrokeWidth(2 * unit);
        grid.setColor(getResources().getColor(R.color.grid, context.getTheme()));
        grid.setStrokeWidth(unit);
        text.setColor(getResources().getColor(R.color.quiet, context.getTheme()));
        text.setTextSize(12 * getResources().getDisplayMetrics().scaledDensity);
    }

    /** The measured sizes, increasing, and the one in use. */
    void show(double[] sizes, double[] p50, double[] p95, double chosen) {
        this.sizes = sizes;
        this.p50 = p50;
        this.p95 = p95;
        this.chosen = chosen;
        invalidate();
    }

    @Override
    protected void onDraw(Canvas canvas) {
        super.onDraw(canvas);
        Chart chart = new Chart(sizes, p50, p95, chosen, getWidth(), getHeight(), 32 * unit);
        text.setTextAlign(Paint.Align.RIGHT);
        for (double tick : chart.ticks) {
            float y = (float) chart.yOf(tick);
            canvas.drawLine((float) chart.left, y, (float) chart.right, y, grid);
            canvas.drawText(Format.size(tick), (float) chart.left - 4 * unit, y + 4 * unit, text);
        }
        text.setTextAlign(Paint.Align.CENTER);
        for (double size : LABELLED_SIZES) {
            canvas.drawText(Format.size(size), (float) chart.across(size), (float) chart.bottom + 18 * unit, text);
        }
        float marker = (float) chart.marker;
        canvas.drawLine(marker, (float) chart.top, marker, (float) chart.bottom, text);
        for (int i = 0; i < chart.x.length; i++) {
            float x = (float) chart.x[i];
            float y = (float) chart.y[i];
            canvas.drawLine(x, y, x, (float) chart.barTop[i], grid);
            if (i > 0) {
                canvas.drawLine((float) chart.x[i - 1], (float) chart.y[i - 1], x, y, line);
            }
            canvas.drawCircle(x, y, 4 * unit, line);
        }
    }
}
