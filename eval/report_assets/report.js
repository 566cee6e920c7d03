// Draws the charts of a report from the JSON beside them. Tables are in the page already, so that
// nothing is lost without scripts.
"use strict";
(function () {
  const spec = JSON.parse(document.getElementById("charts").textContent);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue("--" + name).trim();
  const narrow = window.matchMedia("(max-width: 40rem)").matches;

  // Whiskers of the 95 % intervals.
  const whiskers = {
    id: "whiskers",
    afterDatasetsDraw(chart) {
      const context = chart.ctx;
      const flat = chart.options.indexAxis === "y";
      context.save();
      context.strokeStyle = colour("ink");
      context.lineWidth = 1;
      chart.data.datasets.forEach((set, index) => {
        chart.getDatasetMeta(index).data.forEach((bar, k) => {
          const bounds = set.intervals[k];
          if (!bounds) return;
          const scale = flat ? chart.scales.x : chart.scales.y;
          const low = scale.getPixelForValue(100 * bounds[0]);
          const high = scale.getPixelForValue(100 * bounds[1]);
          context.beginPath();
          if (flat) {
            context.moveTo(low, bar.y);
            context.lineTo(high, bar.y);
          } else {
            context.moveTo(bar.x, low);
            context.lineTo(bar.x, high);
          }
          context.stroke();
        });
      });
      context.restore();
    },
  };

  Chart.defaults.color = colour("soft");
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  for (const [id, chart] of Object.entries(spec)) {
    const canvas = document.getElementById(id);
    if (!canvas) continue;
    const flat = narrow || chart.labels.length > 6;
    const values = {
      min: 0,
      max: 100,
      grid: { color: colour("line") },
      ticks: { callback: (value) => value + " %" },
    };
    const names = { grid: { display: false }, ticks: { autoSkip: false } };
    new Chart(canvas, {
      type: "bar",
      data: {
        labels: chart.labels,
        datasets: chart.sets.map((set) => ({
          label: set.name,
          data: set.figures.map((figure) => (figure ? 100 * figure.value : null)),
          intervals: set.figures.map((figure) => figure && figure.ci95),
          backgroundColor: colour(set.colour),
          borderRadius: 2,
          maxBarThickness: 34,
        })),
      },
      options: {
        indexAxis: flat ? "y" : "x",
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        scales: flat ? { x: values, y: names } : { x: names, y: values },
        plugins: {
          legend: { display: chart.sets.length > 1, position: "top", align: "end" },
          tooltip: {
            callbacks: {
              label: (item) => {
                const figure = chart.sets[item.datasetIndex].figures[item.dataIndex];
                return item.dataset.label + ": " + (100 * figure.value).toFixed(1) + " % of " + figure.n;
              },
            },
          },
        },
      },
      plugins: [whiskers],
    });
  }
})();
