// Words for the machine's transitions, conflicts and situations.

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

/** Describes a transition in a few words. */
export function describe(transition) {
  if (transition.Play !== undefined) return `mark ${placeOf(transition.Play)}`;
  return { Join: "sit down", Leave: "leave the seat", Rematch: "begin a rematch" }[transition] ?? JSON.stringify(transition);
}

/** Explains a conflict. */
export function explain(conflict) {
  if (conflict.NoSuchCell !== undefined) return `There is no cell ${conflict.NoSuchCell + 1}: the board has nine`;
  if (conflict.CellTaken !== undefined) return `Somebody has marked ${placeOf(conflict.CellTaken)} already`;
  return CONFLICTS[conflict] ?? JSON.stringify(conflict);
}

/** Describes the state of the game. */
export function situation({ players, turn, winner, draw }, participant) {
  const isOwn = (mark) => participant !== undefined && players[mark] === participant;
  if (winner !== null) return isOwn(winner) ? "You win!" : `${nameOf(players[winner] ?? "")} wins`;
  if (draw) return "A draw";
  if (players.X === null || players.O === null) return isOwn("X") || isOwn("O") ? "Waiting for a second player" : "Take a seat to play";
  return isOwn(turn) ? "Your turn" : `${nameOf(players[turn])} to move`;
}

/** Returns a cell's place on the board, or its number if it is outside. */
function placeOf(cell) {
  return cell < 9 ? `row ${Math.floor(cell / 3) + 1}, column ${(cell % 3) + 1}` : `cell ${cell + 1}`;
}
