// The part around the machine in every room's page: connection, participants, transitions on their way, history, and switches to
// make the network worse. It only reads the `Room`, as any page can.

import { TITLES } from "./address.js";
import "./hood.js";
import { avatar, colour, nameOf } from "./names.js";
import { Timeline } from "./timeline.js";
import { toast } from "./toast.js";

const AVATARS_MAX = 5;
const FRAME_SHOWN_MS_MIN = 250;

/**
 * Fills the page's `[data-room-head]` and `[data-room-side]`.
 *
 * `describe(transition)` and `explain(conflict, transition)` return in words what a transition does, beginning with a verb, and why it was
 * not applied. `together` is the timeline's.
 * Returns `track(transition, outcome)`, to be called for each `room.apply`.
 */
export function roomBar(room, network, path, { describe, explain, together }) {
  const head = document.querySelector("[data-room-head]");
  const side = document.querySelector("[data-room-side]");
  const lane = document.querySelector("[data-lane]");
  head.innerHTML = HEAD;
  side.innerHTML = SIDE;
  nameRoom(path);
  const part = (id) => document.getElementById(id);
  const timeline = new Timeline(room, path, part("timeline"), { describe, together });
  networkPanel(network, side);

  const show = () => {
    part("status").textContent = room.status;
    document.body.dataset.status = room.status;
    part("seq").textContent = room.seq;
    part("pending").textContent = room.pending;
    document.body.toggleAttribute("data-pending", room.pending > 0);
    part("latency").textContent = room.status !== "live" || room.latency === undefined ? "–" : words(room.latency);
    showParticipants(part("participants"), room);
    showReason(part("notice"), room);
    timeline.follow();
  };
  room.subscribe(show);
  // The latency changes without a call.
  setInterval(show, LOOK_MS);
  room.onreturn = reporter(room, timeline, part("returned"), { describe, explain });
  // A room that can never be joined (because the machine does not exist, say) is closed, and `room.reason` says why.
  room.ready.catch(show);
  show();

  return async function track(transition, outcome) {
    const chip = document.createElement("li");
    chip.textContent = describe(transition);
    lane.append(chip);
    // `apply` rejects only once the room is closed.
    const { status, predicted, conflict, message } = await outcome.catch((error) => ({ status: "rejected", predicted: true, message: error.message }));
    chip.className = status;
    setTimeout(() => chip.remove(), 700);
    if (status !== "rejected") return;
    const reason = conflict === undefined ? message : explain(conflict, transition);
    timeline.rejected(transition, reason);
    toast(reason, predicted ? "Foreseen in this page; nothing was sent." : "The host decided otherwise; it was undone.", true);
  };
}

/** The interval for updating values that change without a call, in milliseconds. */
const LOOK_MS = 2_000;

const HEAD = `
  <div class="who">
    <span class="status" role="status"><i></i><b id="status">connecting</b></span>
    <ul id="participants" aria-label="Participants"></ul>
  </div>
  <div class="meters hooded">
    <dl><dt title="There and back, measured">latency</dt><dd id="latency">–</dd></dl>
    <dl><dt title="The last event in this page's confirmed state">seq</dt><dd id="seq">0</dd></dl>
    <dl class="pending"><dt title="Own transitions that the host has not decided yet">pending</dt><dd id="pending">0</dd></dl>
  </div>
  <p id="notice" role="alert"></p>
  <p id="returned" role="status"></p>`;

const SIDE = `
  <section class="card network hooded" aria-labelledby="network-title">
    <h2 id="network-title">Spoil the network</h2>
    <div class="wire" aria-hidden="true"><span>you</span><i></i><span>host</span></div>
    <label class="delay"><span>Slow</span>
      <input type="range" min="0" max="3000" step="100" value="0" data-net="delay" aria-describedby="delay-note">
      <output id="delay-note">0 s each way</output></label>
    <label class="cut"><input type="checkbox" role="switch" data-net="cut"><span>Cut the connection</span></label>
  </section>
  <section class="card history" aria-labelledby="timeline-title">
    <h2 id="timeline-title">What happened</h2>
    <ol id="timeline" tabindex="0" aria-labelledby="timeline-title"></ol>
  </section>`;

/** Puts the demo's name and the room's name into the page's title and heading. */
function nameRoom(path) {
  const [, , machine, room] = path.split("/");
  const title = TITLES[machine] ?? machine;
  document.title = `${room} · ${title} · Reapply`;
  const heading = document.querySelector("h1");
  heading.innerHTML = "<b></b> <span></span>";
  heading.firstChild.textContent = title;
  heading.lastChild.textContent = room;
}

function showParticipants(list, room) {
  const others = room.participants.filter((participant) => participant !== room.participant);
  const shown = [room.participant, ...others].filter(Boolean).slice(0, AVATARS_MAX);
  const key = `${shown} ${room.participantCount}`;
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  colour([room.participant, ...others].filter(Boolean));
  list.replaceChildren(...shown.map((participant) => {
    const item = document.createElement("li");
    const you = participant === room.participant;
    item.dataset.participant = participant;
    item.append(avatar(participant), you ? `${nameOf(participant)} (you)` : nameOf(participant));
    return item;
  }));
  const more = room.participantCount - shown.length;
  if (more > 0) list.append(Object.assign(document.createElement("li"), { textContent: `and ${more} more` }));
}

function showReason(notice, room) {
  const closed = room.status === "closed" ? `This page is not in the room: ${room.reason ?? "it was closed"}.` : "";
  const offline = room.status === "offline" && room.reason ? `Offline: ${room.reason}.` : "";
  const undurable = room.status === "offline" && room.pending > 0 && !room.durable ? "Pending changes are kept in this page only." : "";
  const { received, bytes } = room.progress ?? {};
  const arriving = bytes > 0 ? `${Math.floor((100 * received) / bytes)} % of the room has arrived.` : "";
  const text = closed || [offline, arriving, undurable].filter(Boolean).join(" ");
  if (notice.textContent !== text) notice.textContent = text;
}

/** Reports the outcomes of your own earlier transitions: from this tab before a reload, or from a tab that is gone. */
function reporter(room, timeline, line, { describe, explain }) {
  const counts = { accepted: 0, rejected: 0, decided: 0, unknown: 0 };
  return ({ transition, outcome }) => {
    counts[outcome.status] += 1;
    const told = Object.entries(RETURNED).filter(([status]) => counts[status] > 0).map(([status, words]) => `${counts[status]} ${words}`);
    line.textContent = `From before: ${told.join(", ")}.`;
    if (outcome.status === "rejected") {
      const reason = outcome.conflict === undefined ? outcome.message : explain(outcome.conflict, transition);
      timeline.rejected(transition, reason);
      toast(`While you were away: ${reason}`, `Not applied: ${describe(transition)}.`);
    } else if (outcome.status === "unknown") {
      timeline.rejected(transition, "the room has forgotten whether it was applied");
    }
  };
}

const RETURNED = { accepted: "applied", decided: "decided while you were away", rejected: "not applied", unknown: "with an unknown outcome" };

/** The slider, the switch, and the wire on which every frame is shown. */
function networkPanel(network, side) {
  const wire = side.querySelector(".wire i");
  const delay = side.querySelector("[data-net=delay]");
  const cut = side.querySelector("[data-net=cut]");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  delay.oninput = () => {
    network.delay_ms = Number(delay.value);
    side.querySelector("#delay-note").textContent = `${network.delay_ms / 1000} s each way`;
  };
  cut.onchange = () => {
    network.cut = cut.checked;
    document.body.toggleAttribute("data-cut", network.cut);
    if (network.cut) wire.replaceChildren();
  };
  network.onframe = (direction, delay_ms) => {
    if (still.matches || document.hidden) return;
    const frame = document.createElement("b");
    frame.className = direction;
    wire.append(frame);
    const there = ["translateX(0)", "translateX(100%)"];
    const travel = frame.animate({ transform: direction === "out" ? there : there.reverse() }, { duration: Math.max(delay_ms, FRAME_SHOWN_MS_MIN) });
    travel.onfinish = () => frame.remove();
  };
}

function words(latency_ms) {
  return latency_ms < 1000 ? `${latency_ms < 10 ? latency_ms.toFixed(1) : Math.round(latency_ms)} ms` : `${(latency_ms / 1000).toFixed(1)} s`;
}
