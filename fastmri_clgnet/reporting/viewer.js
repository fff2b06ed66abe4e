"use strict";
// Adds to every panel a slider through the slices of its volume and a wipe between two images.
// Without this script the page shows the chosen slices as they are.

const frames = JSON.parse(document.getElementById("frames").textContent);

function addSlider(panel, show) {
  const slices = Object.keys(frames[panel.dataset.file]).map(Number).sort((a, b) => a - b);
  const label = panel.querySelector(".slider");
  const slider = label.querySelector("input");
  slider.max = slices.length - 1;
  slider.value = slices.indexOf(Number(panel.dataset.index));
  slider.addEventListener("input", () => show(slices[slider.value]));
  label.hidden = slices.length < 2;
}

function addWipe(panel) {
  const wipe = panel.querySelector(".wipe");
  const [left, right] = [wipe.querySelector(".left"), wipe.querySelector(".right")];
  const [over, under] = [wipe.querySelector(".over"), wipe.querySelector(".under")];
  const position = wipe.querySelector(".position");
  const stage = wipe.querySelector(".stage");

  const images = [...panel.querySelectorAll(".row img")];
  for (const select of [left, right]) {
    images.forEach((image, i) => {
      const name = image.closest("figure").dataset.name;
      select.add(new Option(image.className === "error" ? `error of ${name}` : name, i));
    });
  }
  // the last method beside the target; error maps can be chosen
  const shown = images.map((image, i) => i).filter((i) => images[i].className === "image");
  left.value = shown[Math.max(0, shown.length - 2)];
  right.value = shown[shown.length - 1];

  function update() {
    over.src = images[left.value].src;
    under.src = images[right.value].src;
    over.style.clipPath = `inset(0 ${100 - position.value}% 0 0)`;
    wipe.querySelector(".edge").style.left = `calc(${position.value}% - 1px)`;
  }

  function follow(event) {
    const box = stage.getBoundingClientRect();
    const fraction = (event.clientX - box.left) / box.width;
    position.value = Math.round(100 * Math.min(1, Math.max(0, fraction)));
    update();
  }

  stage.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    follow(event);
  });
  stage.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
  // arrow keys move the range input, which has the focus after a click or by Tab
  position.addEventListener("input", update);
  left.addEventListener("change", update);
  right.addEventListener("change", update);
  wipe.hidden = false;
  update();
  return update;
}

for (const panel of document.querySelectorAll(".panel")) {
  const update = addWipe(panel);
  addSlider(panel, (index) => {
    panel.querySelector(".shown").textContent = index;
    for (const part of frames[panel.dataset.file][index]) {
      const figure = [...panel.querySelectorAll("figure")].find((f) => f.dataset.name === part.name);
      for (const kind of ["image", "error"]) {
        const image = figure.querySelector(`img.${kind}`);
        if (!image) continue;
        image.src = part[kind];
        image.alt = image.alt.replace(/slice \d+$/, `slice ${index}`);
      }
      figure.querySelector(".caption").textContent = part.caption;
    }
    update();
  });
}
