// Words for the machine's transitions, conflicts and situations.

import { nameOf } from "/shared/names.js";

const CONFLICTS = {
  SeatTaken: "Both seats are taken",
  AlreadySeated: "You have a seat already",
  NotPlaying: "Take a seat first",
  WaitingForPlayers: "The other seat is empty",
  NotYourTurn: "It is not your turn",
  NoSuchColumn: "There is no such column",
  GameOver: "The game is over",
  GameNotOver: "The game is not over yet",
};

/** Describes a transition in a few words. */
export function describe(transition) {
  if (transition.Drop !== undefined) return `drop into column ${transition.Drop + 1}`;
  return { Join: "sit down", Leave: "leave the seat", Rematch: "begin a rematch" }[transition] ?? JSON.stringify(transition);
}

/** Explains a conflict. */
export function explain(conflict, transition) {
  if (conflict === "ColumnFull") return `Column ${transition.Drop + 1} is full`;
  return CONFLICTS[conflict] ?? JSON.stringify(conflict);
}

/** Describes the state of the game. */
export function situation({ players, turn, winner, draw }, participant) {
  const name = (seat) => (players[seat] === participant ? "You" : nameOf(players[seat] ?? ""));
  if (winner !== null) return players[winner] === participant ? "You win!" : `${name(winner)} wins`;
  if (draw) return "A draw";
  if (players.includes(null)) return players.includes(participant) ? "Waiting for a second player" : "Take a seat to play";
  return players[turn] === participant ? "Your turn" : `${name(turn)} to move`;
}
