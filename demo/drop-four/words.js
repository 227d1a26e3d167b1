// The machine's transitions, conflicts and situations, in words.

import { nameOf } from "/shared/names.js";

const CONFLICTS = {
  NotYourTurn: "It is not your turn",
  SeatTaken: "That seat is taken",
  AlreadySeated: "You have a seat already",
  NotPlaying: "Take a seat first",
  WaitingForPlayers: "The other seat is still empty",
  GameOver: "The game is over",
  GameNotOver: "The game is not over yet",
};

/** What a transition does, in a few words. */
export function describe(transition) {
  if (transition.Drop !== undefined) return `column ${transition.Drop + 1}`;
  return { Join: "took a seat", Leave: "left the seat", Rematch: "rematch" }[transition] ?? JSON.stringify(transition);
}

/** Why the machine said no. */
export function explain(conflict) {
  return CONFLICTS[conflict] ?? JSON.stringify(conflict);
}

/** What the room is waiting for. */
export function situation({ players, turn, winner, board }, participant) {
  const name = (seat) => (players[seat] === participant ? "You" : nameOf(players[seat] ?? ""));
  if (winner !== null) return players[winner] === participant ? "You win!" : `${name(winner)} wins`;
  if (board[0].every((disc) => disc !== null)) return "A draw";
  if (players.includes(null)) return players.includes(participant) ? "Waiting for a second player" : "Take a seat to play";
  return players[turn] === participant ? "Your turn" : `${name(turn)} to move`;
}
