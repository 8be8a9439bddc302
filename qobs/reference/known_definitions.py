"""Gate definitions as text: those by which exporters explain the engines' own gates, and a few that stand for a name."""

from __future__ import annotations

KNOWN = """
gate sx a { sdg a; h a; sdg a; }
gate sxdg a { s a; h a; s a; }
gate r(t,f) a { u(t,-pi/2+f,pi/2-f) a; }
gate r(t,f) a { u(t,f-pi/2,pi/2-f) a; }
gate r(t,f) a { u(t,f-pi/2,-f+pi/2) a; }
gate cs a,b { t a; cx a,b; tdg b; cx a,b; t b; }
gate cs a,b { p(pi/4) a; cx a,b; p(-pi/4) b; cx a,b; p(pi/4) b; }
gate csdg a,b { tdg a; cx a,b; t b; cx a,b; tdg b; }
gate csdg a,b { p(-pi/4) a; cx a,b; p(pi/4) b; cx a,b; p(-pi/4) b; }
gate csx a,b { h b; cs a,b; h b; }
gate csx a,b { h b; p(pi/4) a; cx a,b; p(-pi/4) b; cx a,b; p(pi/4) b; h b; }
gate csx a,b { h b; cp(pi/2) a,b; h b; }
gate csx a,b { h b; t a; cx a,b; tdg b; cx a,b; t b; h b; }
gate iswap a,b { s a; s b; h a; cx a,b; cx b,a; h b; }
gate ecr a,b { s a; sx b; cx a,b; x a; }
gate ecr a,b { rzx(pi/4) a,b; x a; rzx(-pi/4) a,b; }
gate dcx a,b { cx a,b; cx b,a; }
gate rxx(t) a,b { h a; h b; cx a,b; rz(t) b; cx a,b; h b; h a; }
gate rxx(t) a,b { h a; h b; cx a,b; rz(t) b; cx a,b; h a; h b; }
gate ryy(t) a,b { sxdg a; sxdg b; cx a,b; rz(t) b; cx a,b; sx a; sx b; }
gate ryy(t) a,b { rx(pi/2) a; rx(pi/2) b; cx a,b; rz(t) b; cx a,b; rx(-pi/2) a; rx(-pi/2) b; }
gate rzz(t) a,b { cx a,b; rz(t) b; cx a,b; }
gate rzz(t) a,b { cx a,b; p(t) b; cx a,b; }
gate rzx(t) a,b { h b; cx a,b; rz(t) b; cx a,b; h b; }
gate xx_minus_yy(t,f) a,b { rz(-f) b; sdg a; sx a; s a; s b; cx a,b; ry(0.5*t) a; ry((-0.5)*t) b; cx a,b;
  sdg b; sdg a; sxdg a; s a; rz(f) b; }
gate xx_minus_yy(t,f) a,b { rz(-f) b; rz(-pi/2) a; sx a; rz(pi/2) a; s b; cx a,b; ry(t/2) a; ry(-t/2) b; cx a,b;
  sdg b; rz(-pi/2) a; sxdg a; rz(pi/2) a; rz(f) b; }
gate xx_plus_yy(t,f) a,b { rz(f) a; sdg b; sx b; s b; s a; cx b,a; ry((-0.5)*t) b; ry((-0.5)*t) a; cx b,a;
  sdg a; sdg b; sxdg b; s b; rz(-f) a; }
gate xx_plus_yy(t,f) a,b { rz(f) a; rz(-pi/2) b; sx b; rz(pi/2) b; s a; cx b,a; ry(-t/2) b; ry(-t/2) a; cx b,a;
  sdg a; rz(-pi/2) b; sxdg b; rz(pi/2) b; rz(-f) a; }
gate ccz a,b,c { h c; ccx a,b,c; h c; }
gate cswap a,b,c { cx c,b; ccx a,b,c; cx c,b; }
gate swap a,b { cx a,b; cx b,a; cx a,b; }
gate cp(t) a,b { p(t/2) a; cx a,b; p(-t/2) b; cx a,b; p(t/2) b; }
"""
"""Bodies by which Qiskit's exporters, over its versions, explain gates that are in ``GATES`` anyway. The suite checks each."""

LIBRARY = """
gate rccx a,b,c { h c; t c; cx b,c; tdg c; cx a,c; t c; cx b,c; tdg c; h c; }
gate rc3x a,b,c,d { h d; t d; cx c,d; tdg d; h d; cx a,d; t d; cx b,d; tdg d; cx a,d; t d; cx b,d; tdg d; h d; t d; cx c,d;
  tdg d; h d; }
gate c3x a,b,c,d { h d; p(pi/8) a; p(pi/8) b; p(pi/8) c; p(pi/8) d; cx a,b; p(-pi/8) b; cx a,b; cx b,c; p(-pi/8) c; cx a,c;
  p(pi/8) c; cx b,c; p(-pi/8) c; cx a,c; cx c,d; p(-pi/8) d; cx b,d; p(pi/8) d; cx c,d; p(-pi/8) d; cx a,d; p(pi/8) d; cx c,d;
  p(-pi/8) d; cx b,d; p(pi/8) d; cx c,d; p(-pi/8) d; cx a,d; h d; }
gate c3sqrtx a,b,c,d { h d; cp(pi/8) a,d; h d; cx a,b; h d; cp(-pi/8) b,d; h d; cx a,b; h d; cp(pi/8) b,d; h d; cx b,c; h d;
  cp(-pi/8) c,d; h d; cx a,c; h d; cp(pi/8) c,d; h d; cx b,c; h d; cp(-pi/8) c,d; h d; cx a,c; h d; cp(pi/8) c,d; h d; }
gate c4x a,b,c,d,e { h e; cp(pi/2) d,e; h e; c3x a,b,c,d; h e; cp(-pi/2) d,e; h e; c3x a,b,c,d; c3sqrtx a,b,c,e; }
gate c3sx a,b,c,d { c3sqrtx a,b,c,d; }
"""
"""Gates of Qiskit's ``qelib1.inc`` on three and more qubits."""
