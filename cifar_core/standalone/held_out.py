"""The training images that every search holds out, so that a program validates on the same ones."""

import base64
import zlib

import torch
from torch import Tensor

__all__ = ["held_out"]

HELD_OUT = """
c-kFUXKy20az&+^Lnk(yQB;`Gq@B^5ed}kyUSI+Hi~aw9kWc%A1c4&^-l{sOsMVjS@}{y;@-c1_Y^30mI!Bt%qY9CH4u!g1j7~O`
%U~ntm5#ybz)Kp}5d2K!jM;@wvij=RL0;+kshf||$;b_w(}~ugwlY`WZS`Ut?!A0w?aAJaOhvu1_#wn4lVi^-jWxGmKAZSRrAmo4
(}RM>(4?rlHXB_jEl!SJb4+ojTv#IESRxLV@lpL#Up32_)Y9*6Ig#PvIRv8^Bn+Sa4OiCsp2Rm^e;jKq`0$HJxFq(b=Aun*vd%`b
SZSm6!Yn^V=bX39Bv#B8$#<9TPh!VrHH=Z{#y+rp72>u9-b-|;qE)UE`DqmX%NH*f%9`$KT^I8Fs)>an4YmsYamtc5V+$&QMT{PJ
<Lo$%B2pPI3!@)oH~J|-Oio@y$&r+UH#$07LkdS+@`-hzB-d7gueA>Gz+0O!2d|lg)3l)(Bq0R#$-T10qLSUFgWMv&ka#B=@+%2I
aZ{~x!`aS1V)W8moZrgpgqzeVk}iUZJR9qye_eAB(oW|oKb0rH-U=}ncW`+v3DpL_2_|NDw*`F@8L5eFxQE2R5r+-j+BX;I`M^pv
am5I2<I}MI;>@)~!?1s*piX!`#4@Ue^G)yUh(<0khs1oAnEQZEg>1EsORij<YMC`UH^yhyvkZ#A_{{m4z3Qd}l(dPQa_LsmoiNmR
VLn*(S05(B{Dx_YoFdwD5IVEA#bl1j3ZuHk^FY-qE?7eHQqkXQXS5qbR(Her^}mwQ9DmlR38ZoWL7&wz9?`T5_+nyzi4G<xUt~`0
3%X#<)4*HDlQV~OJbsE%YDk45dqB-Opuwe?>^K<;{E|1Ht|HOjee|B2*Bi0?3kW}nYfBtfvh2vj#hp6kV(63AJX3w8+dh27Me6K)
saz5@fT6lDRy6$$4M=JVR$;WslQ;q4herknfGM>`Q@fAsM`nJ`tm;Z2OE^rM{m<q_^wKB=0ygl<i^R^+fyo}_G57!?D&bjpqmskT
Srp@2SnCTAo*_NBHgn)EhyVN!OSY-|KG;Cx{FKuyu8UR(+U#6RbM%GK{KjtmdeN2DrBK_nRz(Y@`^uzVsD**W^l3(YY@T@tlzQih
q<jW*fKG5G<tggXX9vdkmkK)i!RG$1m6aDx!mI0)nE2oOJEX<YxNFISG2qPr_rpO)E&V(xDy?BQC`OoA(b7`{@x$WN%zE(qo#^eq
1+C%X_vtK>c@{Y<`MK`W=y(0q0(@i%Dd`TW&>>}R^k^<k)KCy-Vocd{fLfZ=bqFqUqj)UY8jp#GMe}JW(5zD>`)GJ{;U}V&MH*Cs
L%i90DF<*vlt(KgU=YxL0`P2H8<-~kc{RsN8QPof6Z5V=yj!EQv6Xg&AXix})iHSDkI_LOFPD2j*PuX-fq=pt(zRE8lBjqEC>RfU
a3^Z+GGxHx{Q>V%FdhJqHP@SVR$nA^mkuHy7U!oJStiT)ol*!KHq<^Ep(|;H{@~LYK#CRh_Nqf*r^V0Nfk<tD&R+e=zeV9E6zFok
@UJ@2IPrD`2tCD7o=0sFBz@8gp&?%0fJNFpk#oL2!(t`<eO56Hgh(OUsp3MD1~7@JH^L;~pN()4a_?Zr2s8wcguC8w$)2H#JxOTo
Wy|7qoS<!&k)`Ew*+^p9UO}+>*#Z~}0JLxgSE_OGrImbIAWBD93p+PJ1fdt}mEMx`3_J425<LN?)NC%-9HM&w+vf-@HOU<?fnpu)
g_0o(2n|njO&8iVO~B+PeL};=h1_oN9oicmz(xVWHto6smAq=r>FmeNDXqRa-NH~C4LKS+c0zYddN&wPln$4nwFPs&(-%sU94XK2
nzur&OI$~D7d{GjIW>5vatt1VL3BieQGU^fg%6&9ByjF9F}DCehWA6B;PEGfjI3tqGR9%{&mk`h1@H+3?HY7KC>daZ)SWv5d+1n3
D49=(U3>thDmy^+U-kM67IFiO-SB`YsC_Epr|j!)bSM=f4yJ(2sm-vE7qSxWvb++KR-e3_j&0Z$jo^s%Q#UvF2;MGBtuBHxuk8?=
d>{56C8RX^04c)YyaK|BKOAlnWV=oCKX<W2u#o06T|5R*sZHKvXxb(~zQ;+Z0-^@*z`O+|c8m<vTM!i(GQbe;_<g<#=RW#+n)Y#c
J>yKRt{?-|6Re=Zw(uCYtDL^JB4d`7CrvmFJVLpg>g#yR2qhU2(uISo4X!ljmCp~T0~FDte;M`~(4t7SztSJU@!IJxMH}IQlOM8&
6u@u*4|pQ{o)_0-QG|eO54^`Yvt}(skOc!oT=KP}w>P&tM~0OX7%tPn>ABG%3J!$+1o@)FB$@^=&eL{tec4CQ^11(9U3w??$B<U&
D;m?*u>-TvgJ-LH93XQvuD-Ylss&(Vn9CmPpw!u%{49CVn|>J_l!ngZp50JU^Gi&S7lj*oetaBr1C$R%9J0$X0Qg}JU>t(w8E$&b
Xni>Pn~M%w?7=29lRR3#1$%>TxRy3)u}9#=k2Izb5n!xL4lvgC1SZBdAwPEMUO%ty&s|(e)8BA^{s)W@j39TG>HA*^4-X3*cm_&5
=pu#|^ySO3pv*N~ajHX@2o&s{>F<pP9R&~{=aNd<BBc@RyH1GQ9j*qqhdW|9IO?89U`aF#F8Kghzo2^#(H@wZe2_Sd;1BVA^+*Bm
`T)Emh;@wPG6yY(PT9{|=@Wh@lLVp+2MpV-Cx5S+f!s8sg&UQefR$wjxbNwXzLzUn;*fKJG4=;&beXzLOh<;~ISFTXacTW9^VHhj
VIAFELboNn)Kf0E2PVP_^*A>b2z499%YY#7Wd;d;Gcq++4h0l7uE=h#vfStQ(Tq=#AM9#8$kmEoE)AH+LV)m9q`u}i(UU);i+gxM
;vddVUO-AhSD^7*J^2Y6z#?Gf(ui}+0~`UjcDqy~EW+sI8H2}ruCjGW8KJnrm(0;n9>HfG;=EqiMvttUVEa!I`(5ZeO>r<>=4;yX
4qVA@VB}C7CA4N33EN(p!-3()pi^oCE*a{UPKUf9OukozK#QMu^PiALvO+6h-+AaETzF3qwv{1{em7J9c17s^;{nLkw?lP{<*n%V
=pl#6+YD7e9+eG*K+r%u!G4i+XEF4cj;HpH)CYpn?kreeKuFMSn1WT{>)0X^CAySeD5Pflx`Q8Wp+Toa<NW=b!K4F9L#LrD6&oPq
{#gknyD29ahld%32T=He?a`(K)+TMN8?Nyg4hOX`%u4)<JTKU=%31sDAu_9m1=kALr|>Ldc)jQJw7Wefrar^}6-+<;fUV0F8v1j_
TaS#r2kp1Gq%VRwh6$7X!K^1NPz7p@-5e?#j>)F0>)AgLa_P2B$Z=Omb*ZV-1vwMuX?ow&amD6cB6LpV={O*TrV2FCWBVuI3jhS#
2=I`7Sylv_;4gg=7zM!NuowFZt{`a-SbGszUS2$M9>tx;d+DG6=Y_r&WFM@i1U>?<ToDUqBwhksa5R_P>b{K3%X&e=1v0L%=7gF&
dW{||7{w8x)Pf&kKjJZNO0P%`$-!On^n^T$HK`_-^>2{b8mii*@xk?Ugn4}8`ok~I&VxaHRIboN1ntmLniDPueDA7c@whLx5N^Wy
s$=zng&jE^xdhMhPiKQ5G;HUok$#yE7KZ&h0GI}niJYsuBL=v&#0Wu8m2bTF_V;N%dI)KvVl!rux8zDLY0djFz~WD6n%SF9N_{8y
nqb2L`W5o7Scopjn*jcE#1v+abVwdH^E?2pPtM9e(*4&Sw)a^;00SJ=AbBw@EBv~;JR`x7`xT-b@ezz5?4(J)6U8%P&d&gMg57xS
yG>%N=m-R<JsAWQ3bMc%gO7RQ!_-DcU;P<2{RQ%5eg8)1?sHFAo^ci;=L*l}V?6lkRzwV}#|0Pa;y+_YN3%R02ltv^8-q@0AZCuL
Z4BT3_c&lFLH}2oaiIi3$<w~1oOtJLn*1*}VBfsXAHZ_e@b0|Zfy{d>-&fqd2bK?5qN}x!j6D*mS@vvk;N5AG!8a?)9l<wu#$qow
p9+!@E;begCSU@K2O^Nkoir;xU>!gD5Ry#VH~mwO$l!;AU+Ztty~O|jMk)n-@EhnNZA8WlP#H7?wzs16d&&Ek893O!l^Em>XU47p
)RC4PVGwqP#uNb7MZ?~W7b2Wzh<ixoEx`x<{{bWa!%+
"""
"""The steps from each of the 5,000 images held out to the next, a byte each, compressed."""


def held_out() -> Tensor:
    """Return which of the 50,000 training images validate, (50000,) bool."""
    steps = zlib.decompress(base64.b85decode(HELD_OUT.replace("\n", "")))
    places = torch.frombuffer(bytearray(steps), dtype=torch.uint8).long().cumsum(0) - 1  # (5000,)
    apart = torch.zeros(50_000, dtype=torch.bool)
    apart[places] = True
    return apart
