// The machine's transitions, conflicts and situations, in words.

import { nameOf } from "/shared/names.js";

const CONFLICTS = {
  SeatTaken: "Both seats are taken",
  AlreadySeated: "You have a seat already",
  NotPlaying: "Take a seat first",
  WaitingForPlayers: "The other seat is empty",
  NotYourTurn: "It is not your turn",
  GameOver: "The game is over",
  GameNotOver: "The game is not over yet",
};

/** What a transition does, in a few words. */
export function describe(transition) {
  if (transition.Play !== undefined) return `cell ${transition.Play + 1}`;
  return { Join: "join", Leave: "leave", Rematch: "rematch" }[transition] ?? JSON.stringify(transition);
}

/** Why the machine said no. */
export function explain(conflict) {
  if (conflict.NoSuchCell !== undefined) return `There is no cell ${conflict.NoSuchCell + 1}: the board has nine`;
  if (conflict.CellTaken !== undefined) return `Cell ${conflict.CellTaken + 1} is taken`;
  return CONFLICTS[conflict] ?? JSON.stringify(conflict);
}

/** What the room is waiting for. */
export function situation({ players, turn, winner, draw }, participant) {
  const isOwn = (mark) => participant !== undefined && players[mark] === participant;
  if (winner !== null) return isOwn(winner) ? "You win!" : `${nameOf(players[winner] ?? "")} wins`;
  if (draw) return "A draw";
  if (players.X === null || players.O === null) return isOwn("X") || isOwn("O") ? "Waiting for a second player" : "Take a seat to play";
  return isOwn(turn) ? "Your turn" : `${nameOf(players[turn])} to move`;
}
