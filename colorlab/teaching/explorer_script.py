"""The style and script that make an explorer's data interactive in a browser; see page.py, which assembles
the page."""

STYLE = """
.colorlab-page { max-width: 1000px; color: inherit; font-size: 14px; line-height: 1.4; }
.colorlab-page .colorlab-still { max-width: 100%; height: auto; }
.colorlab-page .colorlab-both { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
.colorlab-page .colorlab-asked { flex: 1 1 320px; min-width: min(100%, 280px); max-width: 560px; }
.colorlab-page .colorlab-told { flex: 1.3 1 320px; min-width: min(100%, 280px); display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); }
.colorlab-page .colorlab-many { grid-template-columns: repeat(auto-fit, minmax(min(100%, 200px), 1fr)); }
@media (max-width: 560px) { .colorlab-page .colorlab-many { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); } }
.colorlab-page figure { margin: 0; padding: 0; max-width: 480px; }
.colorlab-page figcaption { margin: 0 0 3px; padding: 0; color: inherit; font-size: 14px; font-weight: inherit; text-align: left; overflow-wrap: anywhere; }
.colorlab-page canvas, .colorlab-page figure img { display: block; width: 100%; height: auto; margin: 0; border-radius: 2px; background: none; }
.colorlab-page .colorlab-pointed { position: relative; cursor: crosshair; touch-action: pan-y; outline-offset: 2px; line-height: 0; }
.colorlab-page .colorlab-pointed img { display: block; width: 100%; height: auto; margin: 0; background: none; user-select: none; -webkit-user-drag: none; }
.colorlab-page .colorlab-ring { position: absolute; width: 18px; height: 18px; margin: -9px 0 0 -9px; box-sizing: border-box; border: 2px solid #fff;
  border-radius: 50%; box-shadow: 0 0 0 1.5px #000, inset 0 0 0 1.5px #000; pointer-events: none; }
.colorlab-page label { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; margin: 8px 0 0; color: inherit; }
.colorlab-page input[type=range] { flex: 1 1 120px; min-height: 24px; }
.colorlab-page p { margin: 6px 0 0; color: inherit; }
.colorlab-page .colorlab-scale { display: flex; gap: 8px; align-items: center; font-size: 13px; }
.colorlab-page .colorlab-scale i { flex: 0 1 120px; height: 10px; border: 1px solid rgba(128, 128, 128, .6); }
.colorlab-page .colorlab-small { opacity: .75; font-size: 13px; }
"""

# Several explorers on a page, or one on a page that is redrawn, do not interfere: each is initialised once.
SCRIPT = """
(() => {
  // An element with a class, its text, and where it belongs.
  const make = (tag, name, parent, text = "") => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text) element.textContent = text;
    if (parent) parent.appendChild(element);
    return element;
  };
  // Lists in which all values are alike are kept with one.
  const pick = (values, index) => values[values.length > 1 ? index : 0];

  function bring(root, data) {
    const [height, width] = data.size, [rows, columns] = data.grid, [th, tw] = data.tile;
    let place = data.place, setting = data.setting, atlas = null;

    root.querySelector(".colorlab-still").remove();
    const both = make("div", "colorlab-both", root), asked = make("div", "colorlab-asked", both), told = make("div", "colorlab-told", both);
    const pointed = make("div", "colorlab-pointed", asked), picture = make("img", "", pointed), ring = make("div", "colorlab-ring", pointed);
    picture.alt = "";
    pointed.tabIndex = 0;
    pointed.setAttribute("role", "group");
    pointed.setAttribute("aria-label", "the picture: point at a place, or move with the arrow keys");
    let slider = null, named = null;
    if (data.settings.length > 1) {
      const label = make("label", "", asked);
      named = make("span", "", label);
      slider = make("input", "", label);
      Object.assign(slider, { type: "range", min: 0, max: data.settings.length - 1, step: 1, value: setting });
      slider.addEventListener("input", () => { setting = Number(slider.value); rebuild(); });
    }
    const note = make("p", "colorlab-note", asked);
    note.setAttribute("aria-live", "polite");
    if (data.atlas) {
      const scale = make("p", "colorlab-scale", asked);
      make("span", "", scale, "0");
      make("i", "", scale).style.background = `linear-gradient(90deg, ${data.colors.map((c, i) => `rgb(${c}) ${(i * i / 10.24).toFixed(1)}%`)})`;
      make("span", "", scale, "each map’s largest (ringed)");
    }
    ring.hidden = rows * columns === 1;
    make("p", "colorlab-small", asked, ring.hidden
      ? "The answer is the same for every pixel; in the running notebook, all settings can be chosen."
      : `${rows * columns} places answer on this page; in the running notebook, every pixel does.`);

    const loaded = data.pictures.map((address) => { const image = new Image(); image.src = address; return image; });
    // A map is enlarged while it is numbers and coloured then, as a mixture of two colours is not the colour of the mean.
    const small = document.createElement("canvas"), wide = document.createElement("canvas");
    [small.width, small.height] = [tw, th];
    [wide.width, wide.height] = [Math.min(width, 320), Math.round(Math.min(width, 320) * height / width)];
    const pens = [small, wide].map((canvas) => canvas.getContext("2d", { willReadFrequently: true }));
    let canvases = [], captions = [], panels = [];

    // The figures of a setting: its sources have other names, and may be more.
    function rebuild() {
      const now = data.settings[setting];
      told.replaceChildren();
      told.classList.toggle("colorlab-many", now.sources.length + now.panels.length > 2);
      [canvases, captions, panels] = [[], [], []];
      for (const [name] of now.sources) {
        const figure = make("figure", "", told), caption = make("figcaption", "", figure), canvas = make("canvas", "", figure);
        [canvas.width, canvas.height] = [Math.max(2 * width, 440), Math.round(Math.max(2 * width, 440) * height / width)];
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", name + ": where the colour of the place comes from");
        canvases.push(canvas);
        captions.push(caption);
      }
      for (const [name] of now.panels) {
        const figure = make("figure", "", told);
        make("figcaption", "", figure, name);
        panels.push(make("img", "", figure));
        panels.at(-1).alt = name;
      }
      if (slider) {
        named.textContent = now.label;
        slider.setAttribute("aria-label", now.label);
      }
      draw();
    }

    function draw() {
      const now = data.settings[setting];
      const shown = data.pictures[pick(now.pictures, place)];
      if (picture.src !== shown) picture.src = shown;
      ring.style.left = 100 * (place % columns + 0.5) / columns + "%";
      ring.style.top = 100 * (Math.floor(place / columns) + 0.5) / rows + "%";
      note.textContent = pick(now.notes, place);
      now.panels.forEach(([, files], k) => {
        const file = pick(files, place);
        panels[k].style.visibility = file === null ? "hidden" : "";
        if (file !== null) panels[k].src = data.pictures[file];
      });
      now.sources.forEach(([name, behind], k) => {
        const share = now.shares[place][k];
        captions[k].textContent = share === null ? name : `${name}: ${share} %`;
        const pen = canvases[k].getContext("2d"), box = [0, 0, canvases[k].width, canvases[k].height];
        pen.imageSmoothingQuality = "high";
        pen.fillRect(...box);
        if (behind !== null && loaded[behind].complete) pen.drawImage(loaded[behind], ...box);
        const tile = now.maps[place][k];
        if (atlas && tile !== null) {
          const peak = glow(tile);
          pen.drawImage(wide, ...box);
          if (peak !== null) ringed(pen, (peak % tw + 0.5) / tw * box[2], (Math.floor(peak / tw) + 0.5) / th * box[3], box[2] / 28);
        }
      });
    }

    function ringed(pen, x, y, radius) {
      for (const [color, line] of [["#000", 4.5], ["#fff", 2]]) {
        pen.beginPath();
        pen.arc(x, y, radius, 0, 2 * Math.PI);
        [pen.strokeStyle, pen.lineWidth] = [color, line];
        pen.stroke();
      }
    }

    // Draws one map in colour onto `wide`; returns the number of its largest value, or null where all are the
    // same. Laid over a picture p, colour c with opacity v gives what plots.heat draws: map(v) + (1 - v) p.
    function glow(tile) {
      const cut = atlas.getImageData(tile % data.columns * tw, Math.floor(tile / data.columns) * th, tw, th);
      let peak = 0, least = 0;
      for (let i = 0; i < cut.data.length; i += 4) {
        if (cut.data[i] > cut.data[4 * peak]) peak = i / 4;
        if (cut.data[i] < cut.data[4 * least]) least = i / 4;
      }
      const uneven = cut.data[4 * peak] > cut.data[4 * least];
      pens[0].putImageData(cut, 0, 0);
      pens[1].imageSmoothingQuality = "high";
      pens[1].drawImage(small, 0, 0, wide.width, wide.height);
      const map = pens[1].getImageData(0, 0, wide.width, wide.height);
      for (let i = 0; i < map.data.length; i += 4) {
        const v = map.data[i] / 255, step = Math.min(v * 32, 31.999), low = Math.floor(step);
        for (let c = 0; c < 3; c++) {
          const color = data.colors[low][c] + (step - low) * (data.colors[low + 1][c] - data.colors[low][c]);
          map.data[i + c] = v ? Math.min(255, color / v) : 0;
        }
        map.data[i + 3] = 255 * v;
      }
      pens[1].putImageData(map, 0, 0);
      return uneven ? peak : null;
    }

    const go = (row, column) => {
      const inside = (value, end) => Math.min(Math.max(Math.floor(value), 0), end - 1);
      const wanted = inside(row, rows) * columns + inside(column, columns);
      if (wanted !== place) { place = wanted; draw(); }
    };
    const point = (event) => {
      const box = picture.getBoundingClientRect();
      go((event.clientY - box.top) / box.height * rows, (event.clientX - box.left) / box.width * columns);
    };
    pointed.addEventListener("pointermove", point);
    pointed.addEventListener("pointerdown", point);
    pointed.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      go(Math.floor(place / columns) + step[0], place % columns + step[1]);
    });

    rebuild();
    loaded.forEach((image) => image.addEventListener("load", draw));
    if (data.atlas) {
      const sheet = new Image();
      sheet.addEventListener("load", () => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [sheet.width, sheet.height];
        atlas = canvas.getContext("2d", { willReadFrequently: true });
        atlas.drawImage(sheet, 0, 0);
        draw();
        root.dataset.ready = "yes";
      });
      sheet.src = data.atlas;
    } else root.dataset.ready = "yes";
  }

  // Every explorer that came onto the page with this script or before, and is not alive yet: each keeps its state to itself.
  for (const root of document.querySelectorAll(".colorlab-page:not([data-alive])")) {
    const told = root.querySelector('script[type="application/json"]');
    if (!told) continue;
    root.dataset.alive = "yes";
    bring(root, JSON.parse(told.textContent));
  }
})();
"""
