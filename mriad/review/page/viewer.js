"use strict";
/* One scan in NiiVue: its slices, the map in colour, and over them the outline of what lies above a level, drawn along
   the edges of voxels. */

const AXES = [[0, 1, 2], [0, 2, 1], [1, 2, 0]]; // across, down, through: of axial, coronal and sagittal slices
const COLOURS = { outline: "#38d5e8", chosen: "#ffd24a", true: "#6fdc8c", false: "#8b95a1", missed: "#ff8ad1", cross: "rgb(150 165 180 / 45%)" };
const MAP_OPACITY = 0.45;

class Panel {
  constructor(onMove, onClick) {
    this.element = document.createElement("figure");
    this.caption = this.element.appendChild(document.createElement("figcaption"));
    this.stage = this.element.appendChild(document.createElement("div"));
    this.canvas = this.stage.appendChild(document.createElement("canvas"));
    this.drawing = this.stage.appendChild(document.createElement("canvas"));
    this.stage.className = "stage";
    this.drawing.className = "drawing";
    this.onMove = onMove;
    this.look = { level: 0, outline: true, map: true, smooth: true, chosen: 0, marks: new Map(), missed: [] };
    this.stage.addEventListener("click", (event) => onClick(this, event));
  }

  async open() {
    this.view = new niivue.Niivue({
      backColor: [0, 0, 0, 1], crosshairWidth: 0, isRadiologicalConvention: true, isSliceMM: false, isForceMouseClickToVoxelCenters: true,
      dragAndDropEnabled: false, logLevel: "error", loadingText: "", fontMinPx: 12, fontSizeScaling: 0.25, fontColor: [0.62, 0.66, 0.7, 1],
      multiplanarShowRender: niivue.SHOW_RENDER.NEVER, tileMargin: 0, viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "",
      mouseEventConfig: {
        leftButton: { primary: niivue.DRAG_MODE.crosshair, withShift: niivue.DRAG_MODE.crosshair, withCtrl: niivue.DRAG_MODE.crosshair },
        rightButton: niivue.DRAG_MODE.windowing, centerButton: niivue.DRAG_MODE.pan,
      },
    });
    await this.view.attachToCanvas(this.canvas, false);
    this.view.addColormap("mriad", {
      min: 0, max: 0,
      R: [0, 160, 214, 245, 252], G: [0, 40, 72, 125, 190], B: [0, 90, 60, 22, 60], A: [0, 255, 255, 255, 255], I: [0, 1, 90, 180, 255],
    });
    const draw = this.view.drawScene.bind(this.view);
    this.view.drawScene = (...words) => { const done = draw(...words); this.paint(); return done; };
    this.view.onLocationChange = () => { if (this.data && !this.moving) this.onMove(this); };
    // the wheel moves slices, and zooms with Ctrl
    this.canvas.addEventListener("wheel", (event) => { if (event.ctrlKey) { event.stopImmediatePropagation(); event.preventDefault(); this.zoom(event); } }, { capture: true });
  }

  async show(entry, data, look) {
    this.entry = entry;
    this.data = null;
    Object.assign(this.look, look);
    const [low, high] = data.window;
    const scan = await niivue.NVImage.loadFromBase64({ base64: data.scan, name: "scan.nii.gz", colormap: "gray", cal_min: low, cal_max: high });
    const map = await niivue.NVImage.loadFromBase64({ base64: data.map, name: "map.nii.gz", colormap: "mriad", opacity: 0, cal_min: 0, cal_max: 1 });
    if ([1, 2, 3].some((axis) => scan.dimsRAS[axis] !== map.dimsRAS[axis])) throw new Error("the map has another shape than the scan");
    map.colorbarVisible = scan.colorbarVisible = false;
    this.view.opts.isNearestInterpolation = !this.look.smooth;
    this.view.opts.isOrientationTextVisible = entry.volume;
    this.place(entry.volume);
    this.once(() => {
      while (this.view.volumes.length) this.view.removeVolumeByIndex(this.view.volumes.length - 1);
      this.view.addVolume(scan);
      this.view.addVolume(map);
    });
    this.drawn = "";
    this.size = [scan.dimsRAS[1], scan.dimsRAS[2], scan.dimsRAS[3]];
    this.step = map.img2RASstep;
    this.start = map.img2RASstart[0] + map.img2RASstart[1] + map.img2RASstart[2];
    this.codes = map.img;
    this.range = [scan.global_min, scan.global_max];
    this.data = data;
    this.number();
    this.view.scene.pan2Dxyzmm = [0, 0, 0, 1];
    this.setLook({});
  }

  /* NiiVue makes its textures anew at each change of its volumes; they are made when all is changed. */
  once(change) {
    const update = this.view.updateGLVolume;
    this.view.updateGLVolume = () => {};
    try { change(); } finally { this.view.updateGLVolume = update; }
  }

  place(volume) {
    const wide = this.stage.clientWidth > 1.15 * this.stage.clientHeight;
    const layout = !volume ? [[0, [0, 0, 1, 1]]]
      : wide ? [[0, [0, 0, 0.62, 1]], [1, [0.62, 0, 0.38, 0.5]], [2, [0.62, 0.5, 0.38, 0.5]]]
        : [[0, [0, 0, 1, 0.6]], [1, [0, 0.6, 0.5, 0.4]], [2, [0.5, 0.6, 0.5, 0.4]]];
    this.view.setCustomLayout(layout.map(([sliceType, position]) => ({ sliceType, position })));
  }

  resized() {
    if (this.data) this.place(this.entry.volume);
  }

  zoom(event) {
    const pan = this.view.scene.pan2Dxyzmm, next = Math.min(10, Math.max(1, pan[3] * (event.deltaY < 0 ? 1.15 : 1 / 1.15)));
    const at = this.view.frac2mm(this.view.scene.crosshairPos), change = next - pan[3];
    for (const axis of [0, 1, 2]) pan[axis] = next === 1 ? 0 : pan[axis] - change * at[axis] / next;
    pan[3] = next;
    this.view.drawScene();
  }

  setLook(look) {
    Object.assign(this.look, look);
    if (!this.data) return;
    const [scan, map] = this.view.volumes;
    const { level, scale, smooth } = this.look;
    this.limit = this.code(level);
    // half a code above the last that is not shown, for between two codes no voxel lies
    map.cal_min = this.data.level + (this.limit - this.data.code + 0.5) * this.data.step;
    map.cal_max = Math.max(scale[1], map.cal_min + this.data.step);
    this.view.opts.isNearestInterpolation = !smooth;
    const drawn = JSON.stringify([this.limit, this.look.map, smooth]);
    if (drawn === this.drawn) return this.view.drawScene();
    this.drawn = drawn;
    this.once(() => { map.opacity = this.look.map ? MAP_OPACITY : 0; });
    this.view.updateGLVolume();
  }

  /* The code that what lies above a level has more than. */
  code(level) {
    return Math.min(65535, Math.max(0, this.data.code + Math.floor((level - this.data.level) / this.data.step + 1e-6)));
  }

  window(low, high) {
    const scan = this.view.volumes[0];
    [scan.cal_min, scan.cal_max] = [low, high];
    this.view.updateGLVolume();
  }

  at(voxel) {
    return this.codes[this.start + voxel[0] * this.step[0] + voxel[1] * this.step[1] + voxel[2] * this.step[2]];
  }

  /* Fractions of the scan at a place in mm, and back; in NiiVue's own mm an oblique scan would lie straight. */
  toFrac(mm) {
    return this.view.mm2frac(mm, 0, true);
  }

  toWorld(frac) {
    return Array.from(this.view.frac2mm(frac, 0, true)).slice(0, 3);
  }

  voxel(frac) {
    return [0, 1, 2].map((axis) => Math.min(this.size[axis] - 1, Math.max(0, Math.floor(frac[axis] * this.size[axis]))));
  }

  /* Go to a place in mm: to the centre of the voxel that holds it. */
  go(mm) {
    const voxel = this.voxel(this.toFrac(mm));
    this.moving = true;
    this.view.scene.crosshairPos = voxel.map((index, axis) => (index + 0.5) / this.size[axis]);
    this.view.drawScene();
    this.moving = false;
  }

  here() {
    return this.toWorld(this.view.scene.crosshairPos);
  }

  /* The number of the lesion that each voxel belongs to: from its peak through neighbours above the calibrated level. */
  number() {
    const [nx, ny, nz] = this.size, numbers = new Uint16Array(nx * ny * nz), limit = this.data.code;
    this.data.lesions.forEach((lesion, order) => {
      const first = this.voxel(this.toFrac(lesion.peak_at));
      if (this.at(first) <= limit) return;
      const queue = [first];
      numbers[first[0] + nx * (first[1] + ny * first[2])] = order + 1;
      while (queue.length) {
        const [x, y, z] = queue.pop();
        for (let k = Math.max(0, z - 1); k <= Math.min(nz - 1, z + 1); k++)
          for (let j = Math.max(0, y - 1); j <= Math.min(ny - 1, y + 1); j++)
            for (let i = Math.max(0, x - 1); i <= Math.min(nx - 1, x + 1); i++) {
              const index = i + nx * (j + ny * k);
              if (numbers[index] || this.at([i, j, k]) <= limit) continue;
              numbers[index] = order + 1;
              queue.push([i, j, k]);
            }
      }
    });
    this.numbers = numbers;
  }

  /* Where voxels lie on the canvas, one tile for each slice: canvas = corner + step * index, from edge to edge. */
  tiles() {
    return this.view.screenSlices.flatMap((tile, number) => {
      if (tile.axCorSag > 2) return [];
      const [left, top, width, height] = tile.leftTopWidthHeight;
      const [across, down, through] = AXES[tile.axCorSag];
      // two points well inside, for at its edges a tile is taken for left
      const [x, y] = [left + width / 4, top + height / 4];
      const one = this.view.screenXY2TextureFrac(x, y, number, false);
      const other = this.view.screenXY2TextureFrac(x + width / 2, y + height / 2, number, false);
      const stepX = width / 2 / ((other[across] - one[across]) * this.size[across]);
      const stepY = height / 2 / ((other[down] - one[down]) * this.size[down]);
      const x0 = x - one[across] * this.size[across] * stepX, y0 = y - one[down] * this.size[down] * stepY;
      // the picture is drawn into a viewport, which WebGL cuts to whole pixels, counted from the left and from below
      const [wide, high] = [Math.trunc(width), Math.trunc(height)];
      const first = [Math.trunc(left), this.canvas.height - Math.trunc(this.canvas.height - top - height) - high];
      const [scaleX, scaleY] = [wide / width, high / height];
      return [{
        box: [...first, wide, high], across, down, through, stepX: stepX * scaleX, stepY: stepY * scaleY,
        x0: first[0] + (x0 - left) * scaleX, y0: first[1] + (y0 - top) * scaleY,
        slice: this.voxel(this.view.scene.crosshairPos)[through],
      }];
    });
  }

  paint() {
    const pen = this.drawing.getContext("2d");
    [this.drawing.width, this.drawing.height] = [this.canvas.width, this.canvas.height];
    if (!this.data) return;
    const ratio = this.canvas.width / Math.max(1, this.canvas.clientWidth);
    for (const tile of this.tiles()) {
      pen.save();
      pen.beginPath();
      pen.rect(...tile.box);
      pen.clip();
      if (this.look.outline) this.outline(pen, tile, ratio);
      this.points(pen, tile, ratio);
      this.cross(pen, tile, ratio);
      pen.restore();
    }
  }

  outline(pen, tile, ratio) {
    const { across, down, through, slice, x0, y0, stepX, stepY } = tile, [nx, ny] = [this.size[0], this.size[1]];
    const [wide, high] = [this.size[across], this.size[down]], voxel = [0, 0, 0], limit = this.limit;
    const stride = [1, nx, nx * ny], base = slice * stride[through];
    const above = new Uint8Array((wide + 2) * (high + 2)), lines = new Map();
    voxel[through] = slice;
    for (let v = 0; v < high; v++)
      for (let u = 0; u < wide; u++) {
        voxel[across] = u;
        voxel[down] = v;
        above[(v + 1) * (wide + 2) + u + 1] = this.at(voxel) > limit;
      }
    const line = (kind, a, b, c, d) => {
      if (!lines.has(kind)) lines.set(kind, new Path2D());
      const path = lines.get(kind);
      path.moveTo(x0 + a * stepX, y0 + b * stepY);
      path.lineTo(x0 + c * stepX, y0 + d * stepY);
    };
    for (let v = 0; v < high; v++)
      for (let u = 0; u < wide; u++) {
        const here = (v + 1) * (wide + 2) + u + 1;
        if (!above[here]) continue;
        const lesion = this.numbers[base + u * stride[across] + v * stride[down]];
        const kind = lesion && lesion === this.look.chosen ? "chosen" : this.look.marks.get(lesion) || "outline";
        if (!above[here - 1]) line(kind, u, v, u, v + 1);
        if (!above[here + 1]) line(kind, u + 1, v, u + 1, v + 1);
        if (!above[here - wide - 2]) line(kind, u, v, u + 1, v);
        if (!above[here + wide + 2]) line(kind, u, v + 1, u + 1, v + 1);
      }
    pen.lineCap = "square";
    for (const [kind, path] of lines) {
      pen.lineWidth = ratio * (kind === "chosen" ? 2 : 1.25);
      pen.strokeStyle = COLOURS[kind];
      pen.stroke(path);
    }
  }

  cross(pen, tile, ratio) {
    const at = this.view.scene.crosshairPos, gap = 14 * ratio, [left, top, width, height] = tile.box;
    const x = tile.x0 + at[tile.across] * this.size[tile.across] * tile.stepX, y = tile.y0 + at[tile.down] * this.size[tile.down] * tile.stepY;
    pen.strokeStyle = COLOURS.cross;
    pen.lineWidth = ratio;
    pen.beginPath();
    for (const [a, b, c, d] of [[left, y, x - gap, y], [x + gap, y, left + width, y], [x, top, x, y - gap], [x, y + gap, x, top + height]]) {
      pen.moveTo(a, b);
      pen.lineTo(c, d);
    }
    pen.stroke();
  }

  points(pen, tile, ratio) {
    pen.strokeStyle = COLOURS.missed;
    pen.lineWidth = 1.5 * ratio;
    for (const mm of this.look.missed) {
      const voxel = this.voxel(this.toFrac(mm));
      if (voxel[tile.through] !== tile.slice) continue;
      const x = tile.x0 + (voxel[tile.across] + 0.5) * tile.stepX, y = tile.y0 + (voxel[tile.down] + 0.5) * tile.stepY;
      pen.beginPath();
      pen.arc(x, y, 7 * ratio, 0, 7);
      pen.moveTo(x - 3 * ratio, y);
      pen.lineTo(x + 3 * ratio, y);
      pen.moveTo(x, y - 3 * ratio);
      pen.lineTo(x, y + 3 * ratio);
      pen.stroke();
    }
  }
}
